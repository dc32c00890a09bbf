"""Continuation of a run by more steps than it was to have, under schedules of both numbers.

A schedule may depend on the number of steps, as a cosine does that ends at zero. The learning rates
of a run that is continued are those of its earlier number of steps up to that step, whenever it was
continued, and from there on those of a run of all steps. `Experiment.continued_at` holds where they
change, so that such an experiment can be trained from its start too, to the same weights.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from training.config_types import to_json
from training.experiment import Experiment

# Of longer runs so many learning rates are compared.
_MOST = 100_000


@dataclasses.dataclass
class Stages:
    """A schedule whose number of steps has grown.

    Attributes:
        schedule: One of `training.optimizers`, or any dataclass with their `build`.
        ends: Earlier numbers of steps, rising.
    """

    schedule: Any
    ends: tuple[int, ...]

    def build(self, learning_rate: float, steps: int) -> optax.Schedule:
        """Returns the learning rate as a function of the step."""
        stages = [self.schedule.build(learning_rate, end) for end in (*self.ends, steps)]

        def rate(count):
            found = stages[0](count)
            for end, stage in zip(self.ends, stages[1:], strict=True):
                found = jnp.where(count < end, found, stage(count))
            return found

        return rate


def build_optimizer(experiment: Experiment) -> optax.GradientTransformation:
    """Makes the optimizer of an experiment, with the stages that it has had."""
    optimizer = experiment.optimizer
    if experiment.continued_at:
        staged = Stages(optimizer.schedule, experiment.continued_at)
        optimizer = dataclasses.replace(optimizer, schedule=staged)
    return optimizer.build(experiment.steps)


def continued(stored: Experiment, asked: Experiment) -> Experiment | None:
    """The experiment of a run that is asked to have more steps, or was so before.

    Args:
        stored: What the run is.
        asked: The same with as many steps or more.

    Returns:
        It with `continued_at`, where its learning rates depend on the number of steps; None if it
        is another experiment, or its optimizer has no schedule that could be changed.
    """
    ends = stored.continued_at
    if asked.steps > stored.steps:
        if not hasattr(stored.optimizer, "schedule"):
            return None
        if _differ(stored, asked):
            ends = (*ends, stored.steps)
    found = dataclasses.replace(stored, steps=asked.steps, continued_at=ends)
    same = to_json(asked) in (to_json(found), to_json(dataclasses.replace(found, continued_at=())))
    return found if same and asked.steps >= stored.steps else None


def describe(stored: Experiment, found: Experiment) -> str:
    """Says what more steps mean for the learning rates of a run.

    Args:
        stored: What the run is.
        found: What `continued` made of it.
    """
    steps, end = f"{found.steps:,} steps", stored.steps
    if found.continued_at == stored.continued_at:
        return f"its learning rates are those of a run of {steps} throughout"
    before, after = (np.asarray(_schedule(each)(np.int32(end))).item() for each in (stored, found))
    return (
        f"up to step {end:,} its learning rates are those of a run of {end:,} steps, from there on "
        f"those of a run of {steps}, which begin at {after:.3g} in place of {before:.3g}"
    )


def _schedule(experiment: Experiment) -> optax.Schedule:
    optimizer = experiment.optimizer
    staged = Stages(optimizer.schedule, experiment.continued_at)
    return staged.build(optimizer.learning_rate, experiment.steps)


def _differ(stored: Experiment, asked: Experiment) -> bool:
    """True if any learning rate depends on which of the two numbers of steps a run has."""
    counts = np.linspace(0, asked.steps - 1, min(asked.steps, _MOST)).astype(np.int32)
    first, second = (
        jax.vmap(asked.optimizer.schedule.build(asked.optimizer.learning_rate, steps))(counts)
        for steps in (stored.steps, asked.steps)
    )
    return not np.array_equal(first, second)
