"""Auto-PGD: projected gradient ascent that sets the length of its own steps.

Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks" (2020), algorithm 1. Steps have momentum and begin at twice the radius; at
checkpoints, an image whose loss no longer rises goes on from the best point that it met, with steps
of half the length.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from data.dataset import Split
from evaluation.attacks import losses
from evaluation.attacks.balls import Images, direction, draw_start, project
from evaluation.attacks.search import Attacked, check_finite, choose, in_batches
from evaluation.model import Differentiable

_MOMENTUM = 0.75  # alpha
_RISES = 0.75  # rho: share of a window's steps that must raise the loss
_FIRST_STRIDE = 2.0  # over the radius
# Per cent of all steps: the first checkpoint, by how much windows shrink, and the shortest window.
_FIRST_WINDOW, _SHRINKAGE, _MIN_WINDOW = 22, 3, 6
_LOSSES = {
    "cross-entropy": lambda logits, labels, _: losses.cross_entropy(logits, labels),
    "margin": lambda logits, labels, _: losses.margin(logits, labels),
    "DLR": lambda logits, labels, _: losses.logits_ratio(logits, labels),
    "targeted DLR": losses.targeted_ratio,
}


@dataclasses.dataclass(frozen=True)
class AutoPGD:
    """Auto-PGD from a random start.

    Attributes:
        norm: Of the perturbation: "inf", the largest change of a pixel, or "2".
        loss: To be raised: "cross-entropy", "margin", "DLR" (difference-of-logits ratio) or
            "targeted DLR".
        steps: Of gradient ascent, at least 1.
        rank: Of the targeted loss's class among the wrong ones, from 1, the highest-scoring.
        restart: Number of the random start, from 0.
        on_votes: Attacks the votes of capsules in place of what routing makes of them (Gu, Wu and
            Tresp, "Effective and efficient vote attack on capsule networks", 2021).
    """

    norm: str
    loss: str
    steps: int
    rank: int = 1
    restart: int = 0
    on_votes: bool = False

    def __call__(
        self,
        model: Differentiable,
        split: Split,
        *,
        epsilon: float,
        numbers: np.ndarray | None = None,
        batch_size: int,
        name: str,
    ) -> Attacked:
        """Attacks images of a split; those that mislead the model stay as they are from then on.

        Args:
            model: With votes, for an attack on them.
            split: uint8 images and labels.
            epsilon: Radius of the ball, positive, where grey levels go from 0 to 1.
            numbers: Of the images that are attacked; None stands for all.
            batch_size: Images that are attacked at once, at most.
            name: For the progress bar.

        Returns:
            For each image the first that misleads the model, or else the one of greatest loss;
            `without_gradient` is of the start.

        Raises:
            ValueError: if the model has no votes to attack.
            UserError: if logits of an image on the way are NaN or infinite.
        """
        raised = model.vote_logits if self.on_votes else model.logits
        if raised is None:
            raise ValueError("the model has no votes to attack")
        functions = (model.logits, raised)
        counts = [np.int32(count) for count in (self.steps, self.rank, self.restart)]

        def one_batch(images, labels, chosen):
            return _ascend(
                functions,
                (self.norm, self.loss),
                model.variables,
                images,
                labels,
                chosen,
                np.float32(epsilon),
                *counts,
            )

        *found, finite = in_batches(one_batch, split, numbers, batch_size=batch_size, name=name)
        check_finite(finite, name)
        return Attacked(*found)


class _Point(NamedTuple):
    """Images of a step, with what the model makes of them."""

    images: Images
    loss: Float[Array, "batch"]
    gradient: Images
    misled: Bool[Array, "batch"]
    finite: Bool[Array, "batch"]


class _Schedule(NamedTuple):
    """Lengths of steps, and what the next checkpoint decides them by.

    Attributes:
        stride: Length of a step.
        rises: Steps since the last checkpoint that raised the loss.
        best_loss: At the last checkpoint.
        halved: At the last checkpoint.
        taken: Steps since the last checkpoint.
        share: Per cent of all steps at the next checkpoint.
        window: Per cent of all steps from the last checkpoint to the next.
    """

    stride: Float[Array, "batch"]
    rises: Int[Array, "batch"]
    best_loss: Float[Array, "batch"]
    halved: Bool[Array, "batch"]
    taken: Int[Array, ""]
    share: Int[Array, ""]
    window: Int[Array, ""]


class _Ascent(NamedTuple):
    """State of the attack: `before` are the images of the step before `here`."""

    step: Int[Array, ""]
    before: Images
    here: _Point
    best: _Point
    schedule: _Schedule
    undefined: Bool[Array, "batch"]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _ascend(
    functions: tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]],
    kind: tuple[str, str],
    variables: Any,
    images: Images,
    labels: Int[Array, "batch"],
    numbers: Int[Array, "batch"],
    epsilon: Float[Array, ""],
    steps: Int[Array, ""],
    rank: Int[Array, ""],
    restart: Int[Array, ""],
) -> tuple[Array, Array, Array, Array, Array]:
    """Attacks a batch.

    Args:
        functions: Logits that decide, and logits whose loss is raised.
        kind: Norm and loss.
        variables: Of the model.
        images: Of the batch.
        labels: Their classes.
        numbers: Of the images.
        epsilon: Radius.
        steps: As of an `AutoPGD`, like the others.
        rank: See there.
        restart: See there.

    Returns:
        The members of an `Attacked`, and for each image True if all logits on the way are finite.
    """
    norm, loss = kind
    look = _looking(functions, loss, variables, images, labels, rank)
    noise = draw_start(numbers, images.shape[1:], norm, restart)
    start = look(project(images + epsilon * noise, images, epsilon, norm))
    still = jnp.all(start.gradient == 0.0, axis=(1, 2, 3))
    state = _Ascent(
        jnp.int32(0), start.images, start, start, _first_schedule(start, epsilon), _undefined(start)
    )

    def go_on(state):
        return (state.step < steps) & ~jnp.all(state.best.misled)

    def step(state):
        return _step(state, look, images, epsilon, norm, steps)

    state = jax.lax.while_loop(go_on, step, state)
    best = state.best
    return best.images, best.misled, still, state.undefined, best.finite


def _looking(functions, loss, variables, images, labels, rank):
    """Makes the function from images to a `_Point`."""
    scores, raised = functions
    targets = losses.ranked_targets(raised(variables, images), labels, rank)

    def objective(candidates):
        logits = scores(variables, candidates)
        seen = logits if raised is scores else raised(variables, candidates)
        each = _LOSSES[loss](seen, labels, targets)
        # Summed, so that no image's gradient depends on the others.
        return jnp.sum(each), (each, logits)

    def look(candidates):
        gradient, (each, logits) = jax.grad(objective, has_aux=True)(candidates)
        misled = jnp.argmax(logits, axis=-1) != labels
        return _Point(candidates, each, gradient, misled, jnp.all(jnp.isfinite(logits), axis=-1))

    return look


def _first_schedule(start, epsilon):
    count = len(start.loss)
    return _Schedule(
        stride=jnp.full(count, _FIRST_STRIDE * epsilon),
        rises=jnp.zeros(count, jnp.int32),
        best_loss=start.loss,
        halved=jnp.ones(count, bool),
        taken=jnp.int32(0),
        share=jnp.int32(_FIRST_WINDOW),
        window=jnp.int32(_FIRST_WINDOW),
    )


def _step(state, look, centres, epsilon, norm, steps):
    """Takes one step, with momentum but for the first, and looks at the checkpoint after it."""
    here, schedule = state.here, state.schedule
    there = look(_moved(state, centres, epsilon, norm))
    # What misleads the model, or leaves the numbers, is kept.
    settled = state.best.misled | ~state.best.finite
    better = ~settled & (there.misled | ~there.finite | (there.loss > state.best.loss))
    best = choose(better, there, state.best)
    schedule = schedule._replace(
        rises=schedule.rises + (there.loss > here.loss), taken=schedule.taken + 1
    )
    checked, restarts = _check(schedule, best.loss)
    # ceil(share * steps / 100) steps have been taken.
    due = 100 * (state.step + 1) >= schedule.share * steps
    schedule = jax.tree.map(lambda new, old: jnp.where(due, new, old), checked, schedule)
    return _Ascent(
        state.step + 1,
        here.images,
        choose(due & restarts, best, there),
        best,
        schedule,
        state.undefined | (~settled & _undefined(there)),
    )


def _moved(state, centres, epsilon, norm):
    """Takes a step z, then x + alpha (z - x) + (1 - alpha) (x - x_before), both projected."""
    images, stride = state.here.images, state.schedule.stride[:, None, None, None]
    plain = images + stride * direction(state.here.gradient, norm)
    plain = project(plain, centres, epsilon, norm)
    momentum = jnp.where(state.step == 0, 1.0, _MOMENTUM)
    carried = momentum * (plain - images) + (1.0 - momentum) * (images - state.before)
    return project(images + carried, centres, epsilon, norm)


def _check(schedule, best_loss):
    """Halves steps where the loss rose too rarely, or the best is that of the last checkpoint.

    Returns:
        The schedule after the checkpoint, and for each image True if its steps are halved.
    """
    rarely = schedule.rises < _RISES * schedule.taken
    stuck = ~schedule.halved & (best_loss <= schedule.best_loss)
    halve = rarely | stuck
    window = jnp.maximum(schedule.window - _SHRINKAGE, _MIN_WINDOW)
    after = _Schedule(
        stride=jnp.where(halve, schedule.stride / 2.0, schedule.stride),
        rises=jnp.zeros_like(schedule.rises),
        best_loss=best_loss,
        halved=halve,
        taken=jnp.zeros_like(schedule.taken),
        share=schedule.share + window,
        window=window,
    )
    return after, halve


def _undefined(point):
    return jnp.any(~jnp.isfinite(point.gradient), axis=(1, 2, 3))
