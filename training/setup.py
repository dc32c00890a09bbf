"""Set-up of a run from its configuration: data, mesh, program and a place for the state."""

import contextlib
import dataclasses
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from common.errors import UserError, first_line
from data.batches import DeviceSplit
from data.dataset import Dataset
from data.memory import physical
from data.streaming import Resident, Windows
from evaluation.model import Predictor
from evaluation.modules import of_functions
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.step import Program, TrainState, data_key, make_program

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
        """The sharding of the state and of the data, with a copy on every device."""
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

    def training_images(self) -> Resident | Windows:
        """The training images on every device, all of them or those of some steps at a time."""
        train, experiment = self.dataset.train, self.experiment
        if not is_windowed(experiment, self.dataset):
            return Resident(self._on_devices(train.images, train.labels))
        return Windows(
            train,
            experiment.dataset,
            data_key(experiment),
            batch_size=experiment.batch_size,
            put=self._on_devices,
        )

    def training_split(self) -> DeviceSplit:
        """The training images on every device, of the first steps at least."""
        with contextlib.closing(self.training_images()) as images:
            return images.at(0)

    def _on_devices(self, images: np.ndarray, labels: np.ndarray) -> DeviceSplit:
        return DeviceSplit(*jax.device_put((images, labels), self.replicated))

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


def is_windowed(experiment: Experiment, dataset: Dataset) -> bool:
    """True if training images come to the devices a window at a time (see `data.streaming`).

    Not those of a dataset that renders batches of any images of the split.
    """
    return dataset.train.is_mapped and hasattr(experiment.dataset, "augment")


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
        program = make_program(
            experiment,
            dataset.image_shape,
            dataset.num_classes,
            mesh,
            windowed=is_windowed(experiment, dataset),
        )
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
