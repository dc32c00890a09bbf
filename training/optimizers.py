"""Optimizers and learning-rate schedules, as configurations that build optax objects."""

import dataclasses
from typing import Any

import jax
import optax

from common.limits import POSITIVE, SHARE, Limits, check_fields, check_method, whole

_SCHEDULE = "optimizer.schedule."
_DECAY = Limits(POSITIVE.least, 1.0)


@dataclasses.dataclass
class ConstantSchedule:
    """The base learning rate throughout."""

    def check(self, learning_rate: float) -> None:
        """Accepts every learning rate."""

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """Returns the learning rate as a function of the step."""
        del steps
        return optax.constant_schedule(learning_rate)


@dataclasses.dataclass
class CosineSchedule:
    """Half a cosine from the base rate to zero over the run, after an optional linear warm-up.

    Attributes:
        warmup_steps: Steps over which the rate first rises from zero.
    """

    warmup_steps: int = 0

    def check(self, learning_rate: float) -> None:
        """Raises a `UserError` for a value that no run can have."""
        del learning_rate
        check_fields(self, _SCHEDULE, warmup_steps=whole())

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """Returns the learning rate as a function of the step."""
        if not self.warmup_steps:
            return optax.cosine_decay_schedule(learning_rate, steps)
        return optax.warmup_cosine_decay_schedule(
            0.0, learning_rate, self.warmup_steps, max(steps, self.warmup_steps + 1)
        )


@dataclasses.dataclass
class StepSchedule:
    """The base rate, cut by a factor at regular intervals.

    The defaults are those of Jaderberg et al. (2015) on MNIST.

    Attributes:
        decay_rate: Factor on the rate at the end of each interval.
        decay_steps: Steps of an interval.
    """

    decay_rate: float = 0.1
    decay_steps: int = 50_000

    def check(self, learning_rate: float) -> None:
        """Raises a `UserError` for a value that no run can have."""
        del learning_rate
        check_fields(self, _SCHEDULE, decay_rate=_DECAY, decay_steps=whole(1))

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """Returns the learning rate as a function of the step."""
        del steps
        return optax.exponential_decay(
            learning_rate, self.decay_steps, self.decay_rate, staircase=True
        )


@dataclasses.dataclass
class ExponentialSchedule:
    """Continuous exponential decay with a floor.

    The defaults are those of Sabour et al.'s released code: 0.96 every 2,000 steps, not below
    1e-6.

    Attributes:
        decay_rate: Factor on the rate over `decay_steps` steps.
        decay_steps: See above; the decay is continuous, not in stairs.
        floor: The smallest learning rate.
    """

    decay_rate: float = 0.96
    decay_steps: int = 2000
    floor: float = 1e-6

    def check(self, learning_rate: float) -> None:
        """Raises a `UserError` for a value that no run can have."""
        below = Limits(0.0, learning_rate)
        check_fields(self, _SCHEDULE, decay_rate=_DECAY, decay_steps=whole(1), floor=below)

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """Returns the learning rate as a function of the step."""
        del steps
        return optax.exponential_decay(
            learning_rate, self.decay_steps, self.decay_rate, end_value=self.floor
        )


@dataclasses.dataclass
class AdamConfig:
    """Adam (Kingma and Ba, 2015), with optional clipping and decoupled weight decay.

    Attributes:
        learning_rate: The schedule's base rate.
        schedule: One of the schedules of this module, or any dataclass with their `build`.
        beta1: Decay of the gradient's moving average.
        beta2: Decay of the squared gradient's moving average.
        epsilon: Added to the denominator.
        weight_decay: Decoupled decay (AdamW), relative to the learning rate.
        clip_norm: Largest global norm of the gradient; 0 clips nothing.
        slow_part: A name in the paths of parameters that learn at a rate of their own, such as
            "transformers"; empty for none.
        slow_factor: Their rate as a multiple of everything else's.
    """

    learning_rate: float = 1e-3
    schedule: Any = dataclasses.field(default_factory=CosineSchedule)
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    slow_part: str = ""
    slow_factor: float = 1.0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_fields(
            self, "optimizer.", beta1=SHARE, beta2=SHARE, epsilon=POSITIVE, weight_decay=Limits()
        )
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Creates the optimizer for a run of so many steps."""
        transforms = [optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)]
        if self.weight_decay:
            transforms.append(optax.add_decayed_weights(self.weight_decay))
        return _around(transforms, self, steps)


@dataclasses.dataclass
class MomentumConfig:
    """Stochastic gradient descent, by default plain.

    Weight decay is that of the papers that use it with momentum: the gradient of a penalty on the
    square of the weights, so that it goes through the momentum too.

    Attributes:
        learning_rate: The schedule's base rate.
        schedule: One of the schedules of this module, or any dataclass with their `build`.
        momentum: Decay of the sum of past gradients, in [0, 1).
        weight_decay: This times the weights is added to the gradient, clipped before if it is.
        clip_norm: Largest global norm of the gradient; 0 clips nothing.
        slow_part: See `AdamConfig`.
        slow_factor: See `AdamConfig`.
    """

    learning_rate: float = 0.01
    schedule: Any = dataclasses.field(default_factory=ConstantSchedule)
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    slow_part: str = ""
    slow_factor: float = 1.0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_fields(self, "optimizer.", momentum=SHARE, weight_decay=Limits())
        _check(self)

    def build(self, steps: int) -> optax.GradientTransformation:
        """Creates the optimizer for a run of so many steps."""
        decay = [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        trace = [optax.trace(self.momentum)] if self.momentum else []
        return _around([*decay, *trace], self, steps)


def _check(config: AdamConfig | MomentumConfig) -> None:
    """Checks what every optimizer has."""
    check_fields(
        config,
        "optimizer.",
        learning_rate=POSITIVE,
        clip_norm=Limits(),
        slow_factor=Limits(),
    )
    check_method("optimizer.schedule", config.schedule, "build", "learning_rate", "steps")
    if hasattr(config.schedule, "check"):
        config.schedule.check(config.learning_rate)


def _around(
    transforms: list[optax.GradientTransformation], config: AdamConfig | MomentumConfig, steps: int
) -> optax.GradientTransformation:
    """Chains what every optimizer has before and behind its own transforms of the gradient."""
    schedule = config.schedule.build(config.learning_rate, steps)
    clip = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    return optax.chain(
        *clip,
        *transforms,
        optax.scale_by_learning_rate(schedule),
        scale_part(config.slow_part, config.slow_factor),
    )


def scale_part(name: str, factor: float) -> optax.GradientTransformation:
    """Multiplies the updates of some parameters, as a learning rate of their own does.

    Args:
        name: A part of the parameters' paths, such as the attribute that holds a module; empty
            for none.
        factor: On their updates.

    Raises:
        ValueError: when the optimizer is initialised, if no parameter's path has that part.
    """
    if not name:
        return optax.identity()

    def chosen(params):
        def is_inside(path, _):
            return any(name == str(getattr(key, "key", getattr(key, "name", key))) for key in path)

        mask = jax.tree_util.tree_map_with_path(is_inside, params)
        if not any(jax.tree.leaves(mask)):
            raise ValueError(f"optimizer.slow_part={name!r}: no parameter lies beneath that name")
        return mask

    return optax.masked(optax.scale(factor), chosen)
