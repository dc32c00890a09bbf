"""A finished or running run, read back for evaluation."""

import dataclasses
import pathlib

from absl import logging

from data.errors import UserError
from training.checkpoints import Checkpoints
from training.run_directory import RunDirectory
from training.setup import Setup, prepare
from training.step import TrainState


@dataclasses.dataclass(frozen=True)
class RestoredRun:
    """A run at one of its checkpoints.

    Attributes:
        name: Of its configuration.
        setup: Its experiment, data and program.
        state: The checkpoint.
        step: Of the checkpoint.
    """

    name: str
    setup: Setup
    state: TrainState
    step: int


def restore_run(
    workdir: str | pathlib.Path, *, checkpoint: str = "last", data_dir: str | None = None
) -> RestoredRun:
    """Reads a run and one of its checkpoints, changing nothing on disk.

    Args:
        workdir: The run's folder.
        checkpoint: "last" (the newest that is whole) or "best" (on validation).
        data_dir: See `data.sources.load`.

    Raises:
        UserError: if there is no run or no whole checkpoint.
    """
    directory = RunDirectory(workdir)
    name, experiment = directory.load()
    if not directory.checkpoints.is_dir():
        raise UserError(f"{workdir} has no checkpoint yet")
    setup = prepare(experiment, data_dir)
    checkpoints = Checkpoints(directory.checkpoints, writing=False)
    try:
        steps = [checkpoints.best_step()] if checkpoint == "best" else checkpoints.steps()[::-1]
        for step in steps:
            try:
                state, _ = checkpoints.restore(step, setup.abstract_state())
            except UserError as error:
                logging.warning("%s", error)
                continue
            return RestoredRun(name, setup, state, step)
    finally:
        checkpoints.close()
    raise UserError(f"{workdir} has no whole checkpoint")
