"""A run's folder: what was asked for, where it ran, its metrics, checkpoints and final record.

config.json        the full configuration; a folder belongs to one experiment
signature.json     what the network takes and tells apart, to use it without the images it learnt
images.json        of a user's own images: their number, their size and a digest
environment.json   versions, devices and revision of every start
metrics.jsonl      one line per report, never past the checkpoint that a run resumed from
checkpoints/       the newest two, the best on validation, the first past each milestone;
                   in checkpoints_damaged/ those that were set aside
tensorboard/       the metrics once more, where tensorboardX is installed
figures/           what a model with spatial transformers did at each validation
record.json        the final result, present when the run is complete
record_N.json      that of step N, where the run was then continued
run.lock           held by the process that trains; empty, and of no meaning once it ended

An export is the folder of a run that no longer trains: a weights.safetensors stands in for what
trained it, and its config.json has what is in a signature.

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

from common.errors import UserError
from common.files import PARTIAL, NotWrittenError, write_json, write_text
from training.config_types import Known, to_json, types_in
from training.continuing import continued, describe
from training.experiment import Experiment, differences, from_json, in_short
from training.run.faults import config_fault, metrics_row, read_json, record_fault
from training.run.finding import locate
from training.run.locking import lock
from training.run.signature import Signature
from training.run.signature import from_json as signature_from_json

WEIGHTS = "weights.safetensors"
"""Of an export: parameters that evaluations use, and batch statistics, by name."""

Configurations = Callable[[str], Experiment]


class RunDirectory:
    """The folder of one run.

    Args:
        path: The folder, which need not exist yet, or "zoo:NAME" (see `training.run.finding`).
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = locate(path, "--workdir")
        self.checkpoints = self.path / "checkpoints"
        self._config = self.path / "config.json"
        self._signature = self.path / "signature.json"
        self._environment = self.path / "environment.json"
        self._metrics = self.path / "metrics.jsonl"
        self._record = self.path / "record.json"
        self._lock = self.path / "run.lock"
        self._is_extended = False

    @property
    def is_export(self) -> bool:
        """True where there are weights alone, and no state to go on training from."""
        return (self.path / WEIGHTS).is_file()

    def extended(self, name: str, experiment: Experiment, say: Callable[[str], None]) -> Experiment:
        """The experiment that the run in this folder becomes by a request for more steps.

        Afterwards `check` and `claim` accept it.

        Args:
            name: Of its configuration.
            experiment: The request.
            say: Takes a line on what more steps mean.

        Returns:
            The experiment in full (see `training.continuing`); the request itself if the folder
            holds no such run.
        """
        if not (self._config.exists() and self._has_progress()):
            return experiment
        stored = self._read_config()
        try:
            earlier = _understand(stored, lambda: types_in(experiment))
        except UserError:  # which `check` reports
            return experiment
        found = continued(earlier, experiment) if stored["name"] == name else None
        if found is None or found.steps == earlier.steps:
            return found or experiment
        self._is_extended = True
        say(f"{self.path} goes on to step {found.steps:,}; {describe(earlier, found)}")
        return found

    def check(self, name: str, experiment: Experiment) -> None:
        """Makes sure that the folder is free, or this very experiment's.

        Raises:
            UserError: if it is another experiment's that has got anywhere, or has other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--workdir={self.path} is not a folder; choose another")
        if self.is_export:
            raise UserError(
                f"--workdir={self.path} is an export, which cannot be trained on; start another "
                f"run from its weights by --init_from={self.path}"
            )
        if not self._config.exists():
            if self.path.is_dir() and any(map(self._is_foreign, self.path.iterdir())):
                raise UserError(
                    f"--workdir={self.path} holds files but no run; choose an empty folder"
                )
            return
        stored = self._read_config()
        current, understood = _up_to_date(stored, lambda: types_in(experiment))
        found = differences(current, _stored(name, experiment))
        if found and self._is_extended:
            whole = continued(_understand(stored, lambda: types_in(experiment)), experiment)
            found = found if whole is None else differences(to_json(whole), to_json(experiment))
        if found and (self._has_progress() or not understood):
            raise UserError(
                f"--workdir={self.path} holds another experiment ({in_short(found)}); choose "
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
                self._set_record_aside(experiment.steps)
            yield

    def _set_record_aside(self, steps: int) -> None:
        """Keeps the record of fewer steps, beside which that of all will be."""
        if self._record.exists():
            step = read_json(self._record).get("step")
            if type(step) is int and step < steps:
                self._record.replace(self.path / f"record_{step}.json")

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
        except (NotWrittenError, OSError) as error:
            written = isinstance(error, NotWrittenError)
            reason = error.reason if written else error.strerror or error
            raise UserError(
                f"--workdir={self.path} cannot be written ({path.name}: {reason}); choose another "
                "folder, or make room and run the same command again, which goes on from the last "
                "checkpoint"
            ) from error

    def check_trained(self) -> None:
        """Raises a `UserError` while no checkpoint has been begun."""
        if not self.is_export and not self.checkpoints.is_dir():
            raise UserError(f"{self.path} has no checkpoint yet")

    def load(self, configurations: Configurations | None = None) -> tuple[str, Experiment]:
        """The name and configuration of the run in this folder.

        Args:
            configurations: See `inference.restore.restore_run`.

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
        stored = read_json(self._config)
        fault = config_fault(stored)
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
        """The images and the classes of the network; None of a run older than such notes.

        Raises:
            UserError: if the file is there and holds something else.
        """
        file = self._config if self.is_export else self._signature
        if not file.exists():
            return None
        try:
            if self.is_export:
                stored = self._read_config().get("signature")
                return None if stored is None else signature_from_json(stored)
            return signature_from_json(read_json(file))
        except UserError as error:
            raise UserError(f"{file}: {error}") from error

    def add_environment(self, environment: dict[str, Any]) -> None:
        """Notes a start of the run beside the earlier ones."""
        try:
            starts = read_json(self._environment)
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
        rows = [(row, line) for line in lines if (row := metrics_row(line)) is not None]
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
        """The final record, or None while the run is not complete, or no longer.

        Raises:
            UserError: if the file is there and is not this run's record.
        """
        if not self._record.exists():
            return None
        record, config = read_json(self._record), self._read_config()
        fault = record_fault(record, config)
        if fault:
            raise UserError(
                f"{self._record} is not this run's record ({fault}); move it away, and the same "
                "command measures the last checkpoint again"
            )
        steps = config["experiment"].get("steps")
        return None if type(steps) is int and record["step"] < steps else record


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
