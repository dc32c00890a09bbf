"""Adversarial images found by following gradients: FGSM and PGD.

FGSM is the single step of Goodfellow et al. (2015), PGD the iterated, projected one of Madry et al.
(2018). Perturbations stay within a ball around the image, and pixels within [0, 1].

An attack succeeds by another prediction, not by none: scores that are NaN or infinite end it with
an error, and such a gradient is not followed.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.model import Differentiable
from evaluation.perturbations.curve import SEED

Images = Float[Array, "batch height width channels"]
SHOWN = 8
"""Images of an attack that reports show."""


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
    """Makes PGD as Madry et al. on MNIST: 40 steps of a thirtieth of the radius, a random start."""
    return Attack(norm, loss, steps, relative_step=1.0 / 30.0, random_start=True)


class Attacked(NamedTuple):
    """Attacked images.

    Attributes:
        images: `[count, height, width, channels]`, float32 in [0, 1].
        misled: `[count]`, True if the model misclassifies them.
        without_gradient: `[count]`, True if the loss, or each loss that was tried, has no gradient
            at the image itself.
        undefined_gradient: `[count]`, True if a gradient was NaN or infinite on the way.
    """

    images: np.ndarray
    misled: np.ndarray
    without_gradient: np.ndarray
    undefined_gradient: np.ndarray

    def flags(self) -> tuple[str, ...]:
        """Warns, for a `Result`, if gradients were undefined."""
        if not np.any(self.undefined_gradient):
            return ()
        return (
            f"{np.sum(self.undefined_gradient):,} of {len(self.undefined_gradient):,} images met "
            "gradients that are NaN or infinite and were not followed: the attack may be too weak",
        )


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


def check_finite(finite: np.ndarray, name: str) -> None:
    """Raises a `UserError` unless a model's outputs are finite for all attacked images.

    Args:
        finite: `[count]` booleans.
        name: Of the attack.
    """
    if not np.all(finite):
        raise UserError(
            f"{name}: the model's output is NaN or infinite for {np.sum(~finite):,} of "
            f"{len(finite):,} attacked images, which is no success of the attack and nothing to "
            "measure"
        )


def attack_with_all(
    model: Differentiable, split: Split, attacks: Sequence[Attack], epsilon: float, **options: Any
) -> Attacked:
    """Attacks each image in several ways, up to the first that fools the model.

    Args:
        model: The model.
        split: uint8 images and labels.
        attacks: In order, each for the images that those before it do not fool.
        epsilon: Radius of the ball.
        options: Those of `attack_all`; the loss is added to the progress bar's name.
    """
    name = options.pop("name")
    misled, still = np.zeros(len(split), bool), np.ones(len(split), bool)
    undefined = np.zeros(len(split), bool)
    images = np.empty(split.images.shape, np.float32)
    for attack in attacks:
        standing = np.flatnonzero(~misled)
        if not len(standing):
            break
        options |= {"numbers": standing, "name": f"{name} {attack.loss}"}
        found = attack_all(model, split, attack, epsilon, **options)
        images[standing], misled[standing] = found.images, found.misled
        still[standing] &= found.without_gradient
        undefined[standing] |= found.undefined_gradient
    return Attacked(images, misled, still, undefined)


def in_batches(
    function: Callable[..., Any],
    split: Split,
    numbers: np.ndarray | None = None,
    *,
    batch_size: int,
    name: str,
) -> list[np.ndarray]:
    """Applies a function of batches to images of a split.

    Args:
        function: From images in [0, 1], their labels and their numbers to a tuple of batches.
        split: uint8 images and labels.
        numbers: Of the images, at least one; None stands for all.
        batch_size: Images per call, at most; all calls have one shape, whatever the numbers.
        name: For the progress bar.

    Returns:
        Each member of the tuple, `[count, ...]`.
    """
    numbers = np.arange(len(split)) if numbers is None else numbers
    count, parts = len(numbers), []
    batch_size = min(batch_size, len(split))
    with tqdm(total=count, desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, count, batch_size):
            # The last batch repeats an image, so that one program does for all.
            chosen = numbers[np.minimum(np.arange(start, start + batch_size), count - 1)]
            images = normalise(jnp.asarray(split.images[chosen]))
            parts.append(jax.device_get(function(images, split.labels[chosen], chosen)))
            bar.update(min(batch_size, count - start))
    return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]


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


def _cross_entropy(scores, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=-1)[:, 0]


def margin(
    scores: Float[Array, "batch classes"], labels: Int[Array, "batch"]
) -> Float[Array, "batch"]:
    """Subtracts the score of the true class from the largest of another one, `[batch]`."""
    true = jax.nn.one_hot(labels, scores.shape[-1], dtype=bool)
    of_truth = jnp.take_along_axis(scores, labels[:, None], axis=-1)[:, 0]
    return jnp.max(jnp.where(true, -jnp.inf, scores), axis=-1) - of_truth


_LOSSES = {"cross-entropy": _cross_entropy, "margin": margin}
LOSSES = tuple(_LOSSES)
"""Names of the losses that an attack can raise."""


def direction(gradient: Images, norm: str) -> Images:
    """Finds the step of length one that raises a loss most; zero for no gradient, or NaN."""
    gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
    if norm == "inf":
        return jnp.sign(gradient)
    # Scaled first: the squares of small gradients would vanish.
    largest = jnp.max(jnp.abs(gradient), axis=(1, 2, 3), keepdims=True)
    scaled = gradient / jnp.where(largest > 0.0, largest, 1.0)
    return scaled / jnp.maximum(_length(scaled), 1.0)


def project(images: Images, centres: Images, epsilon: Any, norm: str) -> Images:
    """Projects images into a ball, then clips their grey levels to [0, 1].

    Args:
        images: Anywhere.
        centres: Of the balls; grey levels in [0, 1], so that clipping does not leave a ball.
        epsilon: Radius.
        norm: "inf" or "2".
    """
    change = images - centres
    if norm == "inf":
        change = jnp.clip(change, -epsilon, epsilon)
    else:
        change = change * jnp.minimum(1.0, epsilon / jnp.maximum(_length(change), 1e-12))
    return jnp.clip(centres + change, 0.0, 1.0)


def _length(images):
    return jnp.sqrt(jnp.sum(images**2, axis=(1, 2, 3), keepdims=True))


def draw_start(numbers: Int[Array, "batch"], shape: tuple[int, ...], norm: str) -> Images:
    """Draws a point of the unit ball for each image, by the image's number alone."""

    def one(number):
        key, radius_key = jax.random.split(jax.random.fold_in(jax.random.key(SEED), number))
        if norm == "inf":
            return jax.random.uniform(key, shape, minval=-1.0)
        direction = jax.random.normal(key, shape)
        # Uniform in the ball of as many dimensions as there are pixels.
        radius = jax.random.uniform(radius_key) ** (1.0 / np.prod(shape))
        return radius * direction / jnp.sqrt(jnp.sum(direction**2))

    return jax.vmap(one)(numbers)
