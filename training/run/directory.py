"""A run's folder: what was asked for, where it ran, its metrics, checkpoints and final record.

config.json        the full configuration; a folder belongs to one experiment
signature.json     what the network takes and tells apart, to use it without the images it learnt
environment.json   versions, devices and revision of every start
metrics.jsonl      one line per report, never past the checkpoint that a run resumed from
checkpoints/       the newest two, the best on validation, the first past each milestone
figures/           what a model with spatial transformers did at each validation
record.json        the final result, present when the run is complete
run.lock           held by the process that trains; empty, and of no meaning once it ended

A folder may come from a stranger, or be somebody's who means another one: what is read is checked,
and nothing is written unless the folder is free or holds this very experiment.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from common.errors import UserError, first_line, printable
from common.files import PARTIAL, expand, write_json, write_text
from common.stored import WRONG_CONTENT
from evaluation.results.schema import results_from_json
from training.config_types import Known, to_json, types_in
from training.experiment import Experiment, differences, from_json
from training.run.locking import lock
from training.run.signature import Signature
from training.run.signature import from_json as signature_from_json

Configurations = Callable[[str], Experiment]

# Far above what a run writes; a longer file is not read into memory.
_MAX_JSON_BYTES = 64 << 20
_MAX_NAME = 200


class RunDirectory:
    """The folder of one run.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = expand(path, "--workdir")
        self.checkpoints = self.path / "checkpoints"
        self._config = self.path / "config.json"
        self._signature = self.path / "signature.json"
        self._environment = self.path / "environment.json"
        self._metrics = self.path / "metrics.jsonl"
        self._record = self.path / "record.json"
        self._lock = self.path / "run.lock"

    def check(self, name: str, experiment: Experiment) -> None:
        """Makes sure that the folder is free, or this very experiment's.

        Raises:
            UserError: if it is another experiment's that has got anywhere, or has other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--workdir={self.path} is not a folder; choose another")
        if not self._config.exists():
            if self.path.is_dir() and any(map(self._is_foreign, self.path.iterdir())):
                raise UserError(
                    f"--workdir={self.path} holds files but no run; choose an empty folder"
                )
            return
        stored = self._read_config()
        current, understood = _up_to_date(stored, lambda: types_in(experiment))
        found = differences(current, _stored(name, experiment))
        if found and (self._has_progress() or not understood):
            raise UserError(
                f"--workdir={self.path} holds another experiment ({'; '.join(found)}); choose "
                "another folder"
            )
        if self.checkpoints.exists() and not self.checkpoints.is_dir():
            raise UserError(f"{self.checkpoints} is not a folder; move it away")

    def _is_foreign(self, file: pathlib.Path) -> bool:
        return file.suffix != PARTIAL and file != self._lock

    def _has_progress(self) -> bool:
        saved = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        return saved or self._record.exists()

    @contextlib.contextmanager
    def claim(self, name: str, experiment: Experiment) -> Iterator[None]:
        """Creates the folder, keeps other processes out of it and writes down whose it is.

        Raises:
            UserError: if it is no longer free, or cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with self._writing(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock(self._lock))
            self.check(name, experiment)  # again, for another process may have been faster
            self._drop_links()
            with self._writing(self._config):
                write_json(self._config, _stored(name, experiment))
            yield

    def _drop_links(self) -> None:
        """Removes what would have this run write into a file elsewhere: a sent folder may."""
        for file in (self._metrics, *self.path.glob(f"*{PARTIAL}")):
            if file.is_symlink():
                file.unlink()

    @contextlib.contextmanager
    def _writing(self, path: pathlib.Path) -> Iterator[None]:
        """Turns the error of a file that cannot be written into one line that names it."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"--workdir={self.path} cannot be written ({path.name}: "
                f"{error.strerror or error}); choose another folder, or make room and run the same "
                "command again, which goes on from the last checkpoint"
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

        try:
            experiment = _understand(stored, known)
            experiment.check()
        except UserError as error:
            raise UserError(f"{self._config}: {error}") from error
        return name, experiment

    def _read_config(self) -> dict[str, Any]:
        stored = _read_json(self._config)
        fault = _config_fault(stored)
        if fault:
            raise UserError(
                f"{self._config} is not the configuration of a run ({fault}); choose another folder"
            )
        return stored

    def write_signature(self, signature: Signature) -> None:
        """Notes what the network takes and tells apart."""
        with self._writing(self._signature):
            write_json(self._signature, dataclasses.asdict(signature))

    def read_signature(self) -> Signature | None:
        """What the network takes and tells apart; None of a run that is older than such notes.

        Raises:
            UserError: if the file is there and holds something else.
        """
        if not self._signature.exists():
            return None
        try:
            return signature_from_json(_read_json(self._signature))
        except UserError as error:
            raise UserError(f"{self._signature}: {error}") from error

    def add_environment(self, environment: dict[str, Any]) -> None:
        """Notes a start of the run beside the earlier ones."""
        try:
            starts = _read_json(self._environment)
        except UserError:  # the first start, or a damaged file, which no result depends on
            starts = []
        starts = starts if isinstance(starts, list) else []
        with self._writing(self._environment):
            write_json(self._environment, [*starts, environment])

    def rewind_metrics(self, step: int) -> None:
        """Drops metrics past a step, so that a resumed run does not report steps twice.

        Raises:
            UserError: if the file holds something, but no metrics.
        """
        if not self._metrics.exists():
            return
        with self._writing(self._metrics):
            lines = self._metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [(row, line) for line in lines if (row := _metrics_row(line)) is not None]
        if any(line.strip() for line in lines[:-1]) and not rows:
            raise UserError(f"{self._metrics} holds no metrics of a run; move it away")
        kept = "".join(f"{line}\n" for row, line in rows if row["step"] <= step)
        with self._writing(self._metrics):
            write_text(self._metrics, kept)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Adds one line of metrics."""
        with self._writing(self._metrics), self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    @contextlib.contextmanager
    def figure(self, name: str) -> Iterator[pathlib.Path]:
        """Yields the path of a picture of that name, while it is drawn."""
        path = self.path / "figures" / f"{name}.png"
        with self._writing(path):
            yield path

    def write_record(self, record: dict[str, Any]) -> None:
        """Marks the run as complete with its result."""
        with self._writing(self._record):
            write_json(self._record, record)

    def read_record(self) -> dict[str, Any] | None:
        """The final record, or None while the run is not complete.

        Raises:
            UserError: if the file is there and is not this run's record.
        """
        if not self._record.exists():
            return None
        record = _read_json(self._record)
        fault = _record_fault(record, self._read_config())
        if fault:
            raise UserError(
                f"{self._record} is not this run's record ({fault}); move it away, and the same "
                "command measures the last checkpoint again"
            )
        return record


def _read_json(path: pathlib.Path) -> Any:
    """Reads the content of a JSON file of a run, which may be anything.

    Raises:
        UserError: if it is no file, or holds no JSON.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} cannot be read (it is not a file)")
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise UserError(f"{path} cannot be read (it has over {_MAX_JSON_BYTES >> 20} MiB)")
        return json.loads(path.read_text(encoding="utf-8"))
    # ValueError: no JSON, or no UTF-8. RecursionError: brackets within brackets, thousands deep.
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason})") from error


def _config_fault(stored: Any) -> str | None:
    """Names what keeps a JSON file from being a run's configuration; None for nothing."""
    if not isinstance(stored, dict):
        return "it holds no JSON object"
    name, experiment = stored.get("name"), stored.get("experiment")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or printable(name) != name:
        return "it has no name"
    if not isinstance(experiment, dict) or not isinstance(experiment.get("type"), str):
        return "it has no experiment"
    return None


def _metrics_row(line: str) -> dict[str, Any] | None:
    """A line of metrics; None if a kill cut it short, or it is something else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


# What is printed of a record, and what it has to be.
_NUMBER = (int, float)
_RECORD: dict[str, Any] = {
    **dict.fromkeys(("name", "dataset"), str),
    **dict.fromkeys(("schema", "step"), int),
    "results": list,
}


def _record_fault(record: Any, config: dict[str, Any]) -> str | None:
    """Names what keeps a JSON file from being the record of a run; None for nothing."""
    fault = _misses(record, _RECORD)
    if fault:
        return fault
    if not isinstance(record.get("images_per_second"), (*_NUMBER, type(None))):
        return "images_per_second is not a number"
    if record["name"] != config["name"]:
        return f"it is of {record['name']}, not {config['name']}"
    try:
        results_from_json(record)
    except WRONG_CONTENT as error:
        return f"a result is damaged ({first_line(error)})"
    return None


def _misses(stored: Any, wanted: dict[str, Any]) -> str | None:
    if not isinstance(stored, dict):
        return "a JSON object is missing"
    lacks = [key for key, kind in wanted.items() if not isinstance(stored.get(key), kind)]
    return f"it has no {', '.join(lacks)}" if lacks else None


def _understand(stored: dict[str, Any], known: Known) -> Experiment:
    experiment = from_json(stored["experiment"], known)
    if not isinstance(experiment, Experiment):
        raise UserError(f"{stored['experiment']['type']} is not an experiment")
    return experiment


def _up_to_date(stored: dict[str, Any], known: Known) -> tuple[dict[str, Any], bool]:
    """A stored configuration with the defaults of fields that it is older than.

    Returns:
        The configuration, and whether it was understood; if not, it is as it was stored.
    """
    try:
        return _stored(stored["name"], _understand(stored, known)), True
    except UserError:  # what it names is no longer there, so it is another experiment
        return stored, False


def _stored(name: str, experiment: Experiment) -> dict[str, Any]:
    """A configuration as it comes back from JSON: tuples have become lists."""
    return json.loads(json.dumps({"name": name, "experiment": to_json(experiment)}))
