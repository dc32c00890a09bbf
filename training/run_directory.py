"""A run's folder: what was asked for, where it ran, its metrics, checkpoints and final record.

config.json        the full configuration; a folder belongs to one experiment
environment.json   versions, devices and revision of every start
metrics.jsonl      one line per report, never past the checkpoint that a run resumed from
checkpoints/       the newest two, the best on validation, the first past each milestone
figures/           what a model with spatial transformers did at each validation
record.json        the final result, present when the run is complete
"""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from data.errors import UserError
from evaluation.records import PARTIAL, write_json, write_text
from training.config_types import Known, to_json, types_in
from training.experiment import Experiment, differences, from_json

Configurations = Callable[[str], Experiment]


class RunDirectory:
    """The folder of one run.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._config = self.path / "config.json"
        self._environment = self.path / "environment.json"
        self._metrics = self.path / "metrics.jsonl"
        self._record = self.path / "record.json"

    def check(self, name: str, experiment: Experiment) -> None:
        """Makes sure that the folder is free, or this very experiment's.

        Raises:
            UserError: if it holds another experiment that has got anywhere, or other files.
        """
        if self._config.is_file():
            stored = _up_to_date(self._read_config(), lambda: types_in(experiment))
            found = differences(stored, _stored(name, experiment))
            if found and self._has_progress():
                raise UserError(
                    f"--workdir={self.path} holds another experiment ({'; '.join(found)}); choose "
                    "another folder"
                )
        elif self.path.is_dir() and any(f.suffix != PARTIAL for f in self.path.iterdir()):
            raise UserError(f"--workdir={self.path} holds files but no run; choose an empty folder")

    def _has_progress(self) -> bool:
        saved = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        return saved or self._record.is_file()

    def claim(self, name: str, experiment: Experiment) -> None:
        """Creates the folder and writes down whose it is; call `check` first.

        Raises:
            UserError: if it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self._config, _stored(name, experiment))
        except OSError as error:
            raise UserError(
                f"--workdir={self.path} cannot be written ({error.strerror or error}); choose "
                "another folder"
            ) from error

    def load(self, configurations: Configurations | None = None) -> tuple[str, Experiment]:
        """The name and configuration of the run in this folder.

        Args:
            configurations: See `restoring.restore_run`.

        Raises:
            UserError: if there is no run, or it cannot be understood.
        """
        if not self._config.is_file():
            raise UserError(f"{self.path} holds no run (there is no config.json)")
        stored = self._read_config()
        name = stored["name"]

        def known():
            return types_in(configurations(name)) if configurations else {}

        return name, from_json(stored["experiment"], known)

    def _read_config(self) -> dict[str, Any]:
        try:
            return json.loads(self._config.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{self._config} cannot be read ({error})") from error

    def add_environment(self, environment: dict[str, Any]) -> None:
        """Notes a start of the run beside the earlier ones."""
        try:
            starts = json.loads(self._environment.read_text())
        except (OSError, ValueError):  # the first start, or a file that a kill cut short
            starts = []
        write_json(self._environment, [*starts, environment])

    def rewind_metrics(self, step: int) -> None:
        """Drops metrics past a step, so that a resumed run does not report steps twice."""
        if not self._metrics.exists():
            return
        kept = []
        for line in self._metrics.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # a kill cut the line short
                continue
            if row["step"] <= step:
                kept.append(line + "\n")
        write_text(self._metrics, "".join(kept))

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Adds one line of metrics."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def figure(self, name: str) -> pathlib.Path:
        """Where a picture of that name goes."""
        return self.path / "figures" / f"{name}.png"

    def write_record(self, record: dict[str, Any]) -> None:
        """Marks the run as complete with its result."""
        write_json(self._record, record)

    def read_record(self) -> dict[str, Any] | None:
        """The final record, or None while the run is not complete."""
        return json.loads(self._record.read_text()) if self._record.is_file() else None


def _up_to_date(stored: dict[str, Any], known: Known) -> dict[str, Any]:
    """A stored configuration with the defaults of fields that it is older than."""
    try:
        return _stored(stored["name"], from_json(stored["experiment"], known))
    except (UserError, KeyError):  # what it names is no longer there, so it is another experiment
        return stored


def _stored(name: str, experiment: Experiment) -> dict[str, Any]:
    """A configuration as it comes back from JSON: tuples have become lists."""
    return json.loads(json.dumps({"name": name, "experiment": to_json(experiment)}))
