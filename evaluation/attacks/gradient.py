"""Adversarial images found by following gradients: FGSM and PGD.

FGSM is the single step of Goodfellow et al. (2015), PGD the iterated, projected one of Madry et al.
(2018). Perturbations stay within a ball around the image, and pixels within [0, 1].

A gradient that is NaN or infinite is not followed.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from data.dataset import Split
from evaluation.attacks.balls import Images, direction, draw_start, project
from evaluation.attacks.losses import cross_entropy, margin
from evaluation.attacks.search import Attacked, attack_in_turn, check_finite, in_batches
from evaluation.model import Differentiable


@dataclasses.dataclass(frozen=True)
class Attack:
    """A search for adversarial images.

    Attributes:
        norm: Of the perturbation: "inf", the largest change of a pixel, or "2".
        loss: To be raised: "cross-entropy" of the scores, or "margin", the largest score of
            another class minus that of the true one.
        steps: Of gradient ascent; a step goes along the gradient's sign, or, for the norm "2",
            along the gradient.
        relative_step: Length of a step over the radius of the ball.
        random_start: Draws the first point from the ball; otherwise it is the image.
    """

    norm: str
    loss: str
    steps: int
    relative_step: float
    random_start: bool


def fgsm(loss: str) -> Attack:
    """Makes the fast gradient sign method: one step to the edge of the ball."""
    return Attack("inf", loss, steps=1, relative_step=1.0, random_start=False)


def pgd(norm: str, loss: str, steps: int = 40) -> Attack:
    """Makes PGD as Madry et al. on MNIST, 40 steps from a random start, of a tenth of the radius.

    Theirs are of a thirtieth, with which 40 steps of a sign hardly turn within the ball.
    """
    return Attack(norm, loss, steps, relative_step=0.1, random_start=True)


def attack_all(
    model: Differentiable,
    split: Split,
    attack: Attack,
    epsilon: float,
    *,
    mask: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
    batch_size: int,
    name: str,
) -> Attacked:
    """Attacks images of a split.

    Args:
        model: The model.
        split: uint8 images and labels.
        attack: The search.
        epsilon: Radius of the ball, where grey levels go from 0 to 1.
        mask: `[height, width]` or `[count, height, width]` booleans, the pixels that may change;
            None lets all of them.
        numbers: Of the images that are attacked; None stands for all.
        batch_size: Images that are attacked at once, at most.
        name: For the progress bar.

    Raises:
        UserError: if scores of an attacked image are NaN or infinite.
    """
    masks = np.broadcast_to(True if mask is None else mask, split.images.shape[:3])
    # A ball without radius has one point.
    steps = np.int32(attack.steps if epsilon > 0.0 else 0)

    def one_batch(images, labels, chosen):
        hole = masks[chosen][..., None]
        return _attack(
            model.logits,
            attack,
            model.variables,
            images,
            labels,
            hole,
            chosen,
            np.float32(epsilon),
            steps,
        )

    *found, finite = in_batches(one_batch, split, numbers, batch_size=batch_size, name=name)
    check_finite(finite, name)
    return Attacked(*found)


def attack_with_all(
    model: Differentiable,
    split: Split,
    attacks: Sequence[Attack],
    epsilon: float,
    *,
    mask: np.ndarray | None = None,
    batch_size: int,
    name: str,
) -> Attacked:
    """Attacks each image in several ways, up to the first that fools the model.

    Args:
        model: The model.
        split: uint8 images and labels.
        attacks: In order, each for the images that those before it do not fool.
        epsilon: Radius of the ball.
        mask: See `attack_all`, like the others.
        batch_size: See there.
        name: See there.
    """
    searches = [functools.partial(attack_all, attack=attack, mask=mask) for attack in attacks]
    everything = np.ones(len(split), bool)
    return attack_in_turn(
        model,
        split,
        searches,
        epsilon,
        standing=everything,
        batch_size=batch_size,
        name=name,
    ).attacked


@functools.partial(jax.jit, static_argnums=(0, 1))
def _attack(
    scores: Callable[[Any, Any], Any],
    attack: Attack,
    variables: Any,
    images: Images,
    labels: Int[Array, "batch"],
    mask: Array,
    numbers: Int[Array, "batch"],
    epsilon: Float[Array, ""],
    steps: Int[Array, ""],
) -> tuple[Array, Array, Array, Array, Array]:
    """Attacks a batch in so many steps; else the arguments are those of `attack_all`.

    Returns:
        The members of an `Attacked`, and for each image True if its scores are finite.
    """

    def gradient(candidates):
        loss = _LOSSES[attack.loss]
        # Summed, so that no image's gradient depends on the others.
        return mask * jax.grad(lambda found: jnp.sum(loss(scores(variables, found), labels)))(
            candidates
        )

    def step(_, carry):
        candidates, lost = carry
        slope = gradient(candidates)
        moved = candidates + attack.relative_step * epsilon * direction(slope, attack.norm)
        return project(moved, images, epsilon, attack.norm), lost | _any_undefined(slope)

    first = images
    if attack.random_start:
        noise = mask * draw_start(numbers, images.shape[1:], attack.norm)
        first = project(images + epsilon * noise, images, epsilon, attack.norm)
    slope = gradient(images)
    still, lost = jnp.all(slope == 0.0, axis=(1, 2, 3)), _any_undefined(slope)
    found, lost = jax.lax.fori_loop(0, steps, step, (first, lost))
    logits = scores(variables, found)
    wrong = jnp.argmax(logits, axis=-1) != labels
    return found, wrong, still, lost, jnp.all(jnp.isfinite(logits), axis=-1)


def _any_undefined(images):
    return jnp.any(~jnp.isfinite(images), axis=(1, 2, 3))


_LOSSES = {"cross-entropy": cross_entropy, "margin": margin}
LOSSES = tuple(_LOSSES)
"""Names of the losses that an attack can raise."""
