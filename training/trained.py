"""A trained run without its images: its program, and its state at one of its checkpoints."""

import pathlib
from typing import Any, NamedTuple

from absl import logging

from common.errors import UserError, first_line
from training.experiment import Experiment
from training.run.checkpoints import Checkpoints
from training.run.damage import DamagedError
from training.run.devices import make_mesh
from training.run.directory import Configurations, RunDirectory
from training.run.signature import Signature
from training.run.weights import read_weights
from training.setup import abstract_state
from training.step import Program, TrainState, make_program


class TrainedRun(NamedTuple):
    """A run at one of its checkpoints.

    Attributes:
        name: Of its configuration.
        experiment: What was asked for.
        signature: Of its network.
        program: Its functions.
        state: The checkpoint.
        step: Of the checkpoint.
    """

    name: str
    experiment: Experiment
    signature: Signature
    program: Program
    state: TrainState
    step: int


def read_run(
    workdir: str | pathlib.Path,
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    configurations: Configurations | None = None,
) -> TrainedRun:
    """Reads a run and one of its checkpoints, changing nothing on disk.

    The images that it learnt from are not needed, unless it is older than signatures.

    Args:
        workdir: The folder of a run or an export, or "zoo:NAME".
        checkpoint: "last" (the newest that is whole) or "best" (on validation).
        data_dir: Of prepared data, for older runs; see `data.sources.load.load`.
        configurations: See `inference.restore.restore_run`.

    Raises:
        UserError: if there is no run, or no whole checkpoint.
    """
    directory = RunDirectory(workdir)
    name, experiment = directory.load(configurations)
    directory.check_trained()
    signature = directory.read_signature() or Signature.of(experiment.dataset.load(data_dir))
    mesh = make_mesh()
    try:
        program = make_program(experiment, signature.image_shape, signature.num_classes, mesh)
    except ValueError as error:
        raise UserError(f"{workdir}: its model cannot be built: {first_line(error)}") from error
    state, step = read_state(directory, checkpoint, abstract_state(program, mesh))
    return TrainedRun(name, experiment, signature, program, state, step)


def read_state(directory: RunDirectory, checkpoint: str, like: Any) -> tuple[TrainState, int]:
    """The state of a checkpoint and its step.

    Args:
        directory: Of the run.
        checkpoint: See `read_run`.
        like: Shapes, types and shardings of the state.

    Raises:
        UserError: if there is no whole checkpoint, or the weights of an export do not fit.
    """
    if directory.is_export:
        if checkpoint == "best":
            raise UserError(
                f"{directory.path} is an export of one step; leave --checkpoint=best out"
            )
        return read_weights(directory.path, like)
    checkpoints = Checkpoints(directory.checkpoints, writing=False)
    best, fault = checkpoint == "best", ""
    try:
        for step in [checkpoints.best_step()] if best else checkpoints.steps()[::-1]:
            try:
                return checkpoints.restore(step, like)[0], step
            except DamagedError as error:
                logging.warning("%s", error)
                fault = fault or f": {error}"
    finally:
        checkpoints.close()
    if best:
        raise UserError(
            f"--checkpoint=best{fault}; leave it out for the newest checkpoint that is whole"
        )
    raise UserError(f"{directory.path} has no whole checkpoint{fault}")
