"""Set-up of a run from its configuration: data, mesh, program and a place for the state."""

import dataclasses
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from common.errors import UserError, first_line
from data.batches import DeviceSplit
from data.dataset import Dataset
from data.memory import physical
from evaluation.model import Predictor
from evaluation.modules import of_functions
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.step import Program, TrainState, make_program

# A batch of evaluation may have so many images where there are fewer; they cost little.
_MOST_BLANK = 1000


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

    def check_batch_size(self) -> None:
        """Raises a `UserError` if the training batch fits neither the devices nor the data."""
        size, devices = self.experiment.batch_size, self.mesh.size
        if size % devices:
            lower = size // devices * devices
            raise UserError(
                f"batch_size={size} does not divide over {devices} devices; "
                f"take {lower or devices} or {lower + devices}"
            )
        if size > len(self.dataset.train):
            raise UserError(
                f"batch_size={size} is more than the {len(self.dataset.train)} training images "
                f"of {self.dataset.name}; take fewer, or a larger dataset.train"
            )

    def training_split(self) -> DeviceSplit:
        """The training images on every device."""
        train = self.dataset.train
        images, labels = jax.device_put((train.images, train.labels), self.replicated)
        return DeviceSplit(images, labels)

    def check_memory(self, compiled: jax.stages.Compiled) -> None:
        """Checks that the steps fit into this machine's memory, or the system would end them.

        Raises:
            UserError: if their temporaries alone do not; devices of their own speak for themselves.
        """
        needed = compiled.memory_analysis()
        if self.mesh.devices.flat[0].platform == "cpu" and needed is not None:
            most, size = physical(), needed.temp_size_in_bytes
            if size > most:
                raise UserError(
                    f"batch_size={self.experiment.batch_size}: a step takes {size / 1e9:.4g} GB, "
                    f"more than this machine's {most / 1e9:.4g} GB of memory; take fewer images, "
                    "or a smaller model"
                )

    def abstract_state(self) -> Any:
        """Shapes, types and shardings of the state, to restore into."""
        return abstract_state(self.program, self.mesh)

    def predictor(self, state: TrainState) -> Predictor:
        """The model at a state, as evaluations use it."""
        return predictor_of(self.program, state)


def abstract_state(program: Program, mesh: Mesh) -> Any:
    """Shapes, types and shardings of a program's state, with a copy on every device."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere),
        jax.eval_shape(program.create_state),
    )


def predictor_of(program: Program, state: TrainState) -> Predictor:
    """The model of a program at a state, as evaluations use it."""
    outputs, activations = program.outputs, program.activations
    return of_functions(
        (state.evaluated_params, state.other),
        lambda variables, images, names: outputs(*variables, images, names),
        tuple(program.fields),
        None if activations is None else lambda variables, images: activations(*variables, images),
    )


def prepare(experiment: Experiment, data_dir: str | None) -> Setup:
    """Finds the devices, reads the data and builds the program of an experiment.

    Raises:
        UserError: if they do not fit together.
    """
    mesh = make_mesh()
    dataset = experiment.dataset.load(data_dir)
    try:
        program = make_program(experiment, dataset.image_shape, dataset.num_classes, mesh)
    except ValueError as error:
        message = first_line(error)
        raise UserError(f"the model cannot be built for {dataset.name}: {message}") from error
    _check_evaluation_batch_size(experiment.evaluation_batch_size, dataset)
    return Setup(experiment, dataset, mesh, program)


def _check_evaluation_batch_size(size: int, dataset: Dataset) -> None:
    """Raises a `UserError` if a batch, which is filled up with blank images, is mostly these."""
    most = max(_MOST_BLANK, *(len(split) for split in (dataset.validation, dataset.test)))
    if size > most:
        raise UserError(
            f"evaluation_batch_size={size}: must be at most {most}, for {dataset.name} has "
            f"{len(dataset.validation)} validation and {len(dataset.test)} test images"
        )
