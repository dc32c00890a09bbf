"""From a configuration to what a run works with: data, mesh, program and a place for the state."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from data.batches import DeviceSplit
from data.errors import UserError
from data.sources import Dataset, load
from evaluation.prediction import Predict
from training.environment import make_mesh
from training.experiment import Experiment
from training.step import Program, TrainState, make_program


@dataclasses.dataclass(frozen=True)
class Setup:
    """Everything of a run but its state.

    Attributes:
        experiment: What was asked for.
        dataset: Its images, on the host.
        mesh: The devices.
        program: The functions to run on them.
    """

    experiment: Experiment
    dataset: Dataset
    mesh: Mesh
    program: Program

    @property
    def replicated(self) -> NamedSharding:
        """The sharding of the state and of the data: a copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def evaluation_batch_size(self) -> int:
        """The configured size, rounded up to a multiple of the devices."""
        return -(-self.experiment.evaluation_batch_size // self.mesh.size) * self.mesh.size

    def training_split(self) -> DeviceSplit:
        """The training images on every device."""
        train = self.dataset.train
        images, labels = jax.device_put((train.images, train.labels), self.replicated)
        return DeviceSplit(images, labels)

    def abstract_state(self) -> Any:
        """Shapes, types and shardings of the state, to restore into."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.replicated),
            jax.eval_shape(self.program.create_state),
        )

    def predictor(self, state: TrainState) -> Predict:
        """The model at a state, as evaluations see it."""

        def predict(images):
            return np.asarray(self.program.predict(state.evaluated_params, state.other, images))

        return predict


def prepare(experiment: Experiment, data_dir: str | None) -> Setup:
    """Checks a configuration against devices and data, and builds its program.

    Raises:
        UserError: if they do not fit together.
    """
    experiment.check()
    mesh = make_mesh()
    if experiment.batch_size % mesh.size:
        lower = experiment.batch_size // mesh.size * mesh.size
        raise UserError(
            f"batch_size={experiment.batch_size} does not divide over {mesh.size} devices; "
            f"take {lower or mesh.size} or {lower + mesh.size}"
        )
    dataset = load(experiment.dataset, data_dir)
    if experiment.batch_size > len(dataset.train):
        raise UserError(
            f"batch_size={experiment.batch_size} is more than the {len(dataset.train)} images of "
            f"dataset.train={experiment.dataset.train!r}"
        )
    if dataset.test.images.shape[1:] != dataset.train.images.shape[1:]:
        raise UserError(f"{dataset.name}: test images have another size than training images")
    try:
        program = make_program(experiment, dataset.image_shape, dataset.num_classes, mesh)
    except ValueError as error:
        raise UserError(f"the model cannot be built for {dataset.name}: {error}") from error
    return Setup(experiment, dataset, mesh, program)
