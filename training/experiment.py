"""An experiment: the typed configuration that `configs/` fills in and a run directory stores."""

import dataclasses
import itertools
from typing import Any, Protocol

from flax import nnx

from common.errors import UserError
from common.limits import SEED, SHARE, Limits, check_fields, check_method, check_number, whole
from data.sources.load import DatasetConfig
from data.sources.opening import check_named
from training import monitors
from training.config_types import Known, rebuild, to_json, types_in
from training.optimizers import AdamConfig

# More checkpoints than anybody compares runs at.
_MAX_MILESTONES = 100
# Fields that say where images are kept, on which nothing depends that a run comes to.
_OF_THE_MACHINE = ("dataset.memory_limit", "dataset.source.memory_limit")
# Differences between two experiments that an error lists.
_LISTED = 5


class ModelConfig(Protocol):
    """A dataclass that describes a model and builds it."""

    def build(self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs) -> nnx.Module:
        """Creates the model for images of (height, width, channels).

        The module has `loss(batch) -> (loss, metrics)` with a metric "accuracy", and
        `model(images) -> output`, a `cnn.Output` or another `NamedTuple` or dataclass with
        `logits`, and with whatever other fields suites and monitors may require; those that are
        None do not count. It may have `diagnose(metrics) -> str | None`, which names a plateau that
        training sits on, and `activations(images) -> layers by name`, for images of any size.
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
            0 for none. Statistics of batch normalisation are not averaged with them: those of the
            last step are evaluated, of activations that the weights themselves had.
        validate_every: Steps between looks at the validation split, each with a checkpoint.
        checkpoint_every: Steps between other checkpoints.
        milestones: Validation accuracies, in [0, 1], whose first checkpoint is kept, so that runs
            can be compared at the same accuracy.
        log_every: Steps between lines of metrics.
        evaluation_batch_size: Images per evaluation batch.
        suites: Evaluations of the last step, by their names in `evaluation/suites`.
        monitors: What is measured and drawn of validation images whenever they are looked at, by
            names of `training.monitors`; of a model without such output nothing is.
        continued_at: Earlier numbers of steps of a run that was continued, rising: up to each, its
            learning rates are those of a run that ends there (see `training.continuing`).
        init_from: Folder of a run whose weights this one starts from (see `training.initial`);
            empty for random ones.
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
    monitors: tuple[str, ...] = monitors.DEFAULT
    continued_at: tuple[int, ...] = ()
    init_from: str = ""

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have, or that could not be stored."""
        rebuild(to_json(self), Any, lambda: types_in(self))
        count = whole(1)
        check_fields(
            self,
            steps=count,
            batch_size=count,
            validate_every=count,
            checkpoint_every=count,
            log_every=count,
            evaluation_batch_size=count,
            ema_decay=SHARE,
            seed=SEED,
        )
        check_number("the number of milestones", len(self.milestones), whole(0, _MAX_MILESTONES))
        for accuracy in self.milestones:
            check_number("milestones", accuracy, Limits(0.0, 1.0))
        check_method("model", self.model, "build", "image_shape", "num_classes", "rngs")
        check_method("optimizer", self.optimizer, "build", "steps")
        check_method("dataset", self.dataset, "load", "data_dir")
        check_method("dataset", self.dataset, "generate", "key", "split", "chosen")
        check_named(self.dataset)
        monitors.check(self.monitors)
        self._check_continued()
        for part in (self.dataset, self.optimizer):
            if hasattr(part, "check"):
                part.check()

    def _check_continued(self) -> None:
        ends = (0, *self.continued_at, self.steps)
        if any(first >= second for first, second in itertools.pairwise(ends)):
            raise UserError(f"continued_at={self.continued_at}: must rise from 1 to below steps")
        if self.continued_at and not hasattr(self.optimizer, "schedule"):
            raise UserError(
                f"continued_at={self.continued_at}: the optimizer has no field schedule"
            )


def from_json(stored: Any, known: Known = dict) -> Any:
    """Rebuilds what `to_json` wrote, by this version or an older one; lists come back as tuples.

    Args:
        stored: Perhaps a stranger's: nothing is imported or called but dataclasses of
            configurations, with values of their fields' types.
        known: Finds the types of configurations that are this machine's own, by their names.

    Raises:
        UserError: if a named type or field does not exist, or a value is not of its field's type.
    """
    try:
        return rebuild(stored, Any, known)
    except UserError as error:
        raise UserError(f"the stored configuration cannot be rebuilt: {error}") from error


def differences(first: Any, second: Any, prefix: str = "") -> list[str]:
    """Names the fields in which two stored configurations differ, as "field: a -> b".

    Those that change nothing but where images are kept are passed over.
    """
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else [f"{prefix}: {first} -> {second}"]
    found = []
    for key in sorted(first.keys() | second.keys()):
        path = f"{prefix}.{key}" if prefix else key
        if path.removeprefix("experiment.") not in _OF_THE_MACHINE:
            found += differences(first.get(key), second.get(key), path)
    return found


def in_short(found: list[str]) -> str:
    """Lists the first differences in one line, the configuration's name before its fields.

    Args:
        found: As `differences` names them, of configurations stored with their names.
    """
    ordered = sorted(found, key=lambda difference: not difference.startswith("name: "))
    more = [f"and {len(found) - _LISTED:,} more"] if len(found) > _LISTED else []
    return "; ".join([*ordered[:_LISTED], *more])
