"""A finished or running run, read back for evaluation with its images."""

import dataclasses
import functools
import pathlib

from common.errors import UserError
from evaluation.model import Predictor
from evaluation.results.provenance import checksum
from inference.cost import measure
from inference.matching import match
from training.run.checkpoints import Checkpoints
from training.run.directory import Configurations, RunDirectory
from training.setup import Setup, prepare
from training.step import TrainState
from training.trained import read_state


@dataclasses.dataclass(frozen=True)
class RestoredRun:
    """A run at one of its checkpoints.

    Attributes:
        name: Of its configuration.
        setup: Its experiment, data and program.
        state: The checkpoint.
        step: Of the checkpoint.
        matching: How weights of a given accuracy were found (see `inference.matching`); None where
            none was asked for.
    """

    name: str
    setup: Setup
    state: TrainState
    step: int
    matching: str | None = None

    @property
    def weights(self) -> str:
        """A checksum of the weights that are evaluated."""
        return f"{checksum(self.state.evaluated_params):08x}"

    @property
    def predictor(self) -> Predictor:
        """The model as evaluations use it, with a measurement of its cost too."""
        cost = functools.partial(measure, self.setup, self.state)
        return dataclasses.replace(self.setup.predictor(self.state), cost=cost)


def restore_run(
    workdir: str | pathlib.Path,
    *,
    checkpoint: str = "last",
    match_accuracy: float | None = None,
    data_dir: str | None = None,
    configurations: Configurations | None = None,
) -> RestoredRun:
    """Reads a run and one of its checkpoints, changing nothing on disk.

    Args:
        workdir: The folder of a run or an export, or "zoo:NAME".
        checkpoint: "last" (the newest that is whole) or "best" (on validation).
        match_accuracy: Takes, instead, weights within 0.1 points of this validation accuracy, in
            [0, 1]: the closest checkpoint, or what lies between two (see `inference.matching`).
        data_dir: See `data.sources.load.load`.
        configurations: Makes the experiment of a name, as `configs.load` does. A run may come from
            a stranger, so that types of configurations that are not this project's are taken from
            the experiment that has the run's name here, and from nowhere else.

    Raises:
        UserError: if there is no run, no whole checkpoint, or none of this accuracy.
    """
    directory = RunDirectory(workdir)
    name, experiment = directory.load(configurations)
    directory.check_trained()
    if directory.is_export and match_accuracy is not None:
        raise UserError(f"{directory.path} is an export of one step; leave --match_accuracy out")
    setup = prepare(experiment, data_dir)
    if match_accuracy is None:
        state, step = read_state(directory, checkpoint, setup.abstract_state())
        return RestoredRun(name, setup, state, step)
    checkpoints = Checkpoints(directory.checkpoints, writing=False)
    try:
        return RestoredRun(name, setup, *match(setup, checkpoints, match_accuracy))
    finally:
        checkpoints.close()
