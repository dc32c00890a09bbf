"""Adaptive attack on detection by reconstruction: adversarial images of low reconstruction error.

Frosst, Sabour and Hinton (2018) and Qin et al. (2020) attack the detector together with the
classifier, for resistance to an adversary who does not know of it proves little. Projected gradient
ascent of the margin minus a weight times the squared reconstruction error; an image that fools
already gains nothing by a larger margin. Of all images on the way, the one of least error that
fools is kept.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from data.dataset import Split
from evaluation.attacks.balls import Images, direction, draw_start, project
from evaluation.attacks.losses import margin
from evaluation.attacks.search import check_finite, in_batches
from evaluation.model import Differentiable

RELATIVE_STEP = 1.0 / 30.0
"""Length of a step over the radius: small, as the least reconstruction error is looked for."""


class Evaded(NamedTuple):
    """Attacked images.

    Attributes:
        images: `[count, height, width, channels]`, float32 in [0, 1].
        misled: `[count]`, True if the model misclassifies them.
    """

    images: np.ndarray
    misled: np.ndarray


def evade_all(
    model: Differentiable,
    split: Split,
    epsilon: float,
    weight: float,
    *,
    steps: int = 40,
    relative_step: float = RELATIVE_STEP,
    batch_size: int,
    name: str,
) -> Evaded:
    """Attacks classifier and detector on every image of a split, from a random start.

    Args:
        model: With a decoder.
        split: uint8 images and labels.
        epsilon: The largest change of a pixel, where grey levels go from 0 to 1.
        weight: Of the squared reconstruction error, positive.
        steps: Of gradient ascent.
        relative_step: Length of a step over epsilon.
        batch_size: Images that are attacked at once, at most.
        name: For the progress bar.

    Returns:
        For each image the best one met; the last one where none fools.

    Raises:
        ValueError: if the model has no decoder.
        UserError: if scores or a reconstruction of an image on the way are NaN or infinite.
    """
    if model.reconstruction is None:
        raise ValueError("the model has no decoder that an attack could evade")
    functions = (model.logits, model.reconstruction)

    def one_batch(images, labels, numbers):
        radius = np.float32(epsilon)
        stride = np.float32(relative_step) * radius
        return _evade(
            functions,
            model.variables,
            images,
            labels,
            numbers,
            radius,
            stride,
            np.float32(weight),
            # A ball without radius has one point.
            np.int32(steps if epsilon > 0.0 else 0),
        )

    *found, finite = in_batches(one_batch, split, batch_size=batch_size, name=name)
    check_finite(finite, name)
    return Evaded(*found)


@functools.partial(jax.jit, static_argnums=0)
def _evade(
    functions: tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]],
    variables: Any,
    images: Images,
    labels: Int[Array, "batch"],
    numbers: Int[Array, "batch"],
    radius: Float[Array, ""],
    stride: Float[Array, ""],
    weight: Float[Array, ""],
    steps: Int[Array, ""],
) -> tuple[Array, Array, Array]:
    """Attacks a batch; the arguments are those of `evade_all`, a stride being a step's length.

    Returns:
        The members of an `Evaded`, and for each image True if all outputs on the way are finite.
    """
    scores, reconstruct = functions

    def objective(candidates):
        logits = scores(variables, candidates)
        rest = reconstruct(variables, candidates) - candidates
        error = jnp.sum(rest**2, axis=(1, 2, 3))
        raised = jnp.minimum(margin(logits, labels), 0.0) - weight * error
        # Summed, so that no image's gradient depends on the others.
        finite = jnp.all(jnp.isfinite(logits), axis=-1) & jnp.isfinite(error)
        return jnp.sum(raised), (jnp.argmax(logits, axis=-1) != labels, error, finite)

    def visit(_, carry):
        candidates, (best, misled, lowest, defined) = carry
        gradient, (fools, error, finite) = jax.grad(objective, has_aux=True)(candidates)
        # Until an image fools, the latest is kept.
        better = jnp.where(misled, fools & (error < lowest), True)
        kept = (
            jnp.where(better[:, None, None, None], candidates, best),
            misled | fools,
            jnp.where(better, error, lowest),
            defined & finite,
        )
        moved = candidates + stride * direction(gradient, "inf")
        return project(moved, images, radius, "inf"), kept

    noise = draw_start(numbers, images.shape[1:], "inf")
    first = project(images + radius * noise, images, radius, "inf")
    none = jnp.zeros(len(images), bool)
    nothing = (first, none, jnp.zeros(len(images), images.dtype), ~none)
    # Once more than there are steps: the last visit only looks.
    _, (best, misled, _, defined) = jax.lax.fori_loop(0, steps + 1, visit, (first, nothing))
    return best, misled, defined
