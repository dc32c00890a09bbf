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

from evaluation.attacks import losses
from evaluation.attacks.balls import direction, draw_start, project
from evaluation.attacks.iterated import Batch, Found, IteratedAttack, goes_on
from evaluation.attacks.search import choose
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


class _Point(NamedTuple):
    """Images of a step, with what the model makes of them; see `Batch` for the arrays."""

    images: Float[Any, "batch height width channels"]
    loss: Float[Any, "batch"]
    gradient: Float[Any, "batch height width channels"]
    misled: Bool[Any, "batch"]
    finite: Bool[Any, "batch"]


class _Schedule(NamedTuple):
    """Lengths of steps, and what the next checkpoint decides them by.

    Attributes:
        stride: Length of a step over the radius.
        rises: Steps since the last checkpoint that raised the loss.
        best_loss: At the last checkpoint.
        halved: At the last checkpoint.
        taken: Steps since the last checkpoint.
        share: Per cent of all steps at the next checkpoint.
        window: Per cent of all steps from the last checkpoint to the next.
    """

    stride: Float[Any, "batch"]
    rises: Int[Any, "batch"]
    best_loss: Float[Any, "batch"]
    halved: Bool[Any, "batch"]
    taken: Int[Any, ""]
    share: Int[Any, ""]
    window: Int[Any, ""]


class _Ascent(NamedTuple):
    """State of the attack.

    Attributes:
        looks: At each image.
        images: What is looked at next.
        before: What a step was taken from to get there.
        loss: Of the images before.
        best: What has misled the model, or else has the greatest loss.
        schedule: Of the steps.
        still: See `Attacked.without_gradient`; of the start.
        undefined: See `Attacked.undefined_gradient`.
    """

    looks: Int[Any, ""]
    images: Float[Any, "batch height width channels"]
    before: Float[Any, "batch height width channels"]
    loss: Float[Any, "batch"]
    best: _Point
    schedule: _Schedule
    still: Bool[Any, "batch"]
    undefined: Bool[Any, "batch"]

    def found(self) -> Found:
        """Returns the best images."""
        best = self.best
        return Found(best.images, best.misled, self.still, self.undefined, best.finite)


@dataclasses.dataclass(frozen=True)
class AutoPGD(IteratedAttack):
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

    @property
    def looks(self) -> int:
        """Counts the start and the steps."""
        return self.steps + 1

    def begin(self, images: np.ndarray) -> _Ascent:
        """Makes the state before the random start."""
        return _before_the_start(images)

    def go_on(
        self, model: Differentiable, batch: Batch, state: _Ascent, epsilon: np.float32
    ) -> _Ascent:
        """Takes steps, up to the last or until the batch is too large.

        Raises:
            ValueError: if the attack is on votes and the model has none.
        """
        raised = model.vote_logits if self.on_votes else model.logits
        if raised is None:
            raise ValueError("the model has no votes to attack")
        return _ascend(
            (model.logits, raised),
            (self.norm, self.loss),
            model.variables,
            batch,
            state,
            epsilon,
            *(np.int32(count) for count in (self.steps, self.rank, self.restart)),
        )


def _before_the_start(images):
    """Makes a state of which any start is better than the best, and raises no loss."""
    count = len(images)
    no, lowest = np.zeros(count, bool), np.full(count, np.float32(-np.inf))
    schedule = _Schedule(
        stride=np.full(count, np.float32(_FIRST_STRIDE)),
        rises=np.zeros(count, np.int32),
        best_loss=lowest,
        halved=~no,
        taken=np.int32(0),
        share=np.int32(_FIRST_WINDOW),
        window=np.int32(_FIRST_WINDOW),
    )
    best = _Point(images, lowest, np.zeros_like(images), misled=no, finite=~no)
    return _Ascent(np.int32(0), images, images, -lowest, best, schedule, no, no)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _ascend(
    functions: tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]],
    kind: tuple[str, str],
    variables: Any,
    batch: Batch,
    state: _Ascent,
    epsilon: Float[Array, ""],
    steps: Int[Array, ""],
    rank: Int[Array, ""],
    restart: Int[Array, ""],
) -> _Ascent:
    """Attacks a batch while it `goes_on`.

    Args:
        functions: Logits that decide, and logits whose loss is raised.
        kind: Norm and loss.
        variables: Of the model.
        batch: The images.
        state: To go on from.
        epsilon: Radius.
        steps: As of an `AutoPGD`, like the others.
        rank: See there.
        restart: See there.
    """
    norm, loss = kind
    look = _looking(functions, loss, variables, batch, rank)
    noise = draw_start(batch.numbers, batch.images.shape[1:], norm, restart)
    start = project(batch.images + epsilon * noise, batch.images, epsilon, norm)
    state = state._replace(images=jnp.where(state.looks == 0, start, state.images))
    return jax.lax.while_loop(
        lambda state: goes_on(batch, state, steps + 1),
        lambda state: _step(state, look, batch.images, epsilon, norm, steps),
        state,
    )


def _looking(functions, loss, variables, batch, rank):
    """Makes the function from images to a `_Point`."""
    (scores, raised), labels = functions, batch.labels
    targets = losses.ranked_targets(raised(variables, batch.images), labels, rank)

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


def _step(state, look, centres, epsilon, norm, steps):
    """Looks at the images, and at the checkpoint if one is due, and takes a step from there."""
    schedule, there = state.schedule, look(state.images)
    # What misleads the model, or leaves the numbers, is kept.
    settled = state.best.misled | ~state.best.finite
    better = ~settled & (there.misled | ~there.finite | (there.loss > state.best.loss))
    best = choose(better, there, state.best)
    is_start = state.looks == 0
    schedule = schedule._replace(
        rises=schedule.rises + (there.loss > state.loss), taken=schedule.taken + ~is_start
    )
    checked, restarts = _check(schedule, best.loss)
    # ceil(share * steps / 100) steps have been taken.
    due = 100 * state.looks >= schedule.share * steps
    schedule = jax.tree.map(lambda new, old: jnp.where(due, new, old), checked, schedule)
    here = choose(due & restarts, best, there)
    momentum = jnp.where(is_start, 1.0, _MOMENTUM)
    stride = epsilon * schedule.stride[:, None, None, None]
    return _Ascent(
        state.looks + 1,
        _moved(here, state.before, centres, stride, momentum, epsilon, norm),
        here.images,
        here.loss,
        best,
        schedule,
        jnp.where(is_start, jnp.all(there.gradient == 0.0, axis=(1, 2, 3)), state.still),
        state.undefined | (~settled & _undefined(there)),
    )


def _moved(here, before, centres, stride, momentum, epsilon, norm):
    """Takes a step z, then x + alpha (z - x) + (1 - alpha) (x - x_before), both projected."""
    images = here.images
    plain = images + stride * direction(here.gradient, norm)
    plain = project(plain, centres, epsilon, norm)
    carried = momentum * (plain - images) + (1.0 - momentum) * (images - before)
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
