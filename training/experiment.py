"""What a run is: the typed configuration that `configs/` fills in and a run directory stores."""

import dataclasses
import importlib
from typing import Any, Protocol

from flax import nnx

from data.errors import UserError
from data.sources import DatasetConfig
from training.optimizers import AdamConfig

_TYPE = "type"


class ModelConfig(Protocol):
    """A dataclass that describes a model and builds it."""

    def build(self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs) -> nnx.Module:
        """Creates the model for images of (height, width, channels).

        The module has `loss(batch) -> (loss, metrics)` with a metric "accuracy", and
        `model(images) -> output` with `output.logits`. It may have
        `diagnose(metrics) -> str | None`, which names a plateau that training sits on, and
        `warp(images) -> (images, grids)`, which shows what its spatial transformers do (see
        `evaluation.prediction.Warp`), `confidences(output) -> probabilities` of the classes, if
        they are not the softmax of its logits, `features(images) -> [batch, features]`, one vector
        of what its answer comes from, and, where its `can_reconstruct` is true,
        `reconstruct(output) -> images`, what it paints of the class that it sees.
        """
        ...


@dataclasses.dataclass
class Experiment:
    """One training run, whole.

    Attributes:
        model: A dataclass with `build`; see `ModelConfig`.
        steps: Optimizer steps of the run.
        batch_size: Images per step, over all devices together.
        seed: Of initial values, order, augmentation and dropout.
        dataset: The images: a dataclass with the methods of `DatasetConfig`.
        optimizer: The optimizer and its schedule: a dataclass of `training.optimizers`.
        ema_decay: Decay of a moving average of the weights that is evaluated in their place;
            0 for none.
        validate_every: Steps between looks at the validation split, each with a checkpoint.
        checkpoint_every: Steps between other checkpoints.
        milestones: Validation accuracies, in [0, 1], whose first checkpoint is kept, so that runs
            can be compared at the same accuracy.
        log_every: Steps between lines of metrics.
        evaluation_batch_size: Images per evaluation batch.
        suites: Evaluations of the last step, by their names in `evaluation/suites`.
    """

    model: Any
    steps: int
    batch_size: int = 128
    seed: int = 0
    dataset: Any = dataclasses.field(default_factory=DatasetConfig)
    optimizer: Any = dataclasses.field(default_factory=AdamConfig)
    ema_decay: float = 0.0
    validate_every: int = 429
    checkpoint_every: int = 200
    milestones: tuple[float, ...] = (0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.992)
    log_every: int = 20
    evaluation_batch_size: int = 250
    suites: tuple[str, ...] = ("clean",)

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        for name in (
            "steps",
            "batch_size",
            "validate_every",
            "checkpoint_every",
            "log_every",
            "evaluation_batch_size",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}: must be at least 1")
        if not 0.0 <= self.ema_decay < 1.0:
            raise UserError(f"ema_decay={self.ema_decay}: must be in [0, 1)")
        if not all(0.0 <= accuracy <= 1.0 for accuracy in self.milestones):
            raise UserError(f"milestones={self.milestones}: must be in [0, 1]")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed={self.seed}: must be in [0, 2^32)")
        self.dataset.check()


def to_json(config: Any) -> Any:
    """Turns nested dataclasses into dictionaries that name their types, ready for JSON."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
        kind = type(config)
        return {_TYPE: f"{kind.__module__}.{kind.__qualname__}", **fields}
    if isinstance(config, tuple | list):
        return [to_json(item) for item in config]
    return config


def from_json(stored: Any) -> Any:
    """Rebuilds what `to_json` wrote; lists come back as tuples.

    Raises:
        UserError: if a named type or field no longer exists.
    """
    if isinstance(stored, list):
        return tuple(from_json(item) for item in stored)
    if not isinstance(stored, dict):
        return stored
    module, _, name = stored[_TYPE].rpartition(".")
    fields = {key: from_json(value) for key, value in stored.items() if key != _TYPE}
    try:
        return getattr(importlib.import_module(module), name)(**fields)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"the stored configuration names {stored[_TYPE]}, which cannot be rebuilt: {error}"
        ) from error


def differences(first: Any, second: Any, prefix: str = "") -> list[str]:
    """Names the fields in which two stored configurations differ, as "field: a -> b"."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else [f"{prefix}: {first} -> {second}"]
    found = []
    for key in sorted(first.keys() | second.keys()):
        path = f"{prefix}.{key}" if prefix else key
        found += differences(first.get(key), second.get(key), path)
    return found
