"""Universal adversarial patches: small images that, pasted anywhere, cause a chosen prediction.

Brown et al. (2017), "Adversarial patch": the patch is trained on many images at once, in
expectation over where it lies, how it is turned and how large it is.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.attacks.balls import Images
from evaluation.model import Differentiable
from evaluation.perturbations.curve import SEED
from stn.sampling import sample
from stn.transforms import Affine

MAX_ROTATION = 22.5
"""Largest angle of a patch either way, in degrees."""
SIDE = 14
"""Pixels of a trained patch along each side, however large it is pasted."""
STEPS = 200
BATCH = 64
LEARNING_RATE = 0.05
_BLOCK = 20  # steps in one call
# Points along each axis of a pixel at which a patch is read, so that its edges are smooth.
_POINTS = 3
_EPS = 1e-6

Places = Float[Array, "batch 3"]
"""Position of a patch along x and y and its rotation, each from 0 to 1 of the allowed range."""


def draw_places(numbers: Int[Array, "batch"]) -> Places:
    """Draws a place for each image, by the image's number alone."""
    seed = jax.random.key(SEED)
    return jax.vmap(lambda number: jax.random.uniform(jax.random.fold_in(seed, number), (3,)))(
        numbers
    )


def paste(
    images: Images,
    patches: Float[Array, "batch side side channels"],
    places: Places,
    areas: Float[Array, "batch"],
) -> Images:
    """Pastes a rotated square patch onto each image, as a whole within it.

    Args:
        images: Of any size.
        patches: Of any size; they are enlarged or reduced.
        places: See `Places`.
        areas: Of the pasted patches, as shares of the image, at most a half; 0 pastes nothing.
    """
    height, width = images.shape[1:3]
    theta, reach = _placing(places, areas, height, width)
    grid = Affine().grid(theta, (_POINTS * height, _POINTS * width))
    inside = jnp.all(jnp.abs(grid) <= 1.0, axis=-1, keepdims=True)
    inside &= reach[:, None, None, None] > 0.0
    values = jnp.where(inside, sample(patches, grid, padding="border"), 0.0)
    return images * (1.0 - _mean_of_points(inside)) + _mean_of_points(values)


def _placing(places, areas, height, width):
    """Makes affine maps from images to patches, and half the sides of the patches' boxes."""
    angle = jnp.deg2rad(MAX_ROTATION) * (2.0 * places[:, 2] - 1.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    side = jnp.sqrt(areas * height * width)
    reach = side / 2.0 * (jnp.abs(cos) + jnp.abs(sin))
    x = (width / 2.0 - reach) * (2.0 * places[:, 0] - 1.0)
    y = (height / 2.0 - reach) * (2.0 * places[:, 1] - 1.0)
    scale = 2.0 / jnp.maximum(side, _EPS)
    rows = [
        [cos * width / 2.0, sin * height / 2.0, -cos * x - sin * y],
        [-sin * width / 2.0, cos * height / 2.0, sin * x - cos * y],
    ]
    return scale[:, None] * jnp.stack([*rows[0], *rows[1]], axis=-1), reach


def _mean_of_points(values):
    batch, height, width, channels = values.shape
    shape = (batch, height // _POINTS, _POINTS, width // _POINTS, _POINTS, channels)
    return jnp.mean(values.reshape(shape).astype(jnp.float32), axis=(2, 4))


def train_patch(
    model: Differentiable, split: Split, target: int, areas: tuple[float, float], *, name: str
) -> np.ndarray:
    """Trains a patch that makes a model predict a class for images of other classes.

    Adam on the cross-entropy of the target, averaged over images, places and areas that are drawn
    anew in every step; grey levels are clipped to [0, 1] after each.

    Args:
        model: The model.
        split: The images, of which those of the target class are left out.
        target: The class.
        areas: Smallest and largest, as shares of the image; their logarithms are uniform.
        name: For the progress bar.

    Returns:
        `[SIDE, SIDE, channels]` in [0, 1].

    Raises:
        UserError: if there are no images of other classes, or the gradient is NaN or infinite.
    """
    images = jnp.asarray(split.images[split.labels != target])
    if not len(images):
        raise UserError(f"{name}: all images to train it on are of that class")
    patch = jnp.full((SIDE, SIDE, images.shape[-1]), 0.5)
    carry = (patch, _optimizer().init(patch))
    limits = jnp.log(jnp.asarray(areas))
    with tqdm(total=STEPS, desc=name, unit="step", leave=False, disable=None) as bar:
        for start in range(0, STEPS, _BLOCK):
            stop = min(start + _BLOCK, STEPS)
            steps = (np.int32(start), np.int32(stop))
            carry = _train(model.logits, model.variables, carry, images, target, limits, steps)
            bar.update(stop - start)
    if not np.all(np.isfinite(carry[0])):
        raise UserError(f"{name}: the model's gradient is NaN or infinite, so none can be trained")
    return np.asarray(carry[0])


def _optimizer() -> optax.GradientTransformation:
    return optax.adam(LEARNING_RATE)


@functools.partial(jax.jit, static_argnums=0)
def _train(
    scores: Callable[[Any, Any], Any],
    variables: Any,
    carry: Any,
    images: Array,
    target: Int[Array, ""],
    limits: Float[Array, "2"],
    steps: tuple[Int[Array, ""], Int[Array, ""]],
) -> Any:
    """Trains from one step up to another; the other arguments are those of `train_patch`."""

    def loss(patch, key):
        which, where, how_large = jax.random.split(key, 3)
        chosen = jax.random.randint(which, (BATCH,), 0, len(images))
        areas = jnp.exp(jax.random.uniform(how_large, (BATCH,), minval=limits[0], maxval=limits[1]))
        patches = jnp.broadcast_to(patch, (BATCH, *patch.shape))
        places = jax.random.uniform(where, (BATCH, 3))
        shown = paste(normalise(images[chosen]), patches, places, areas)
        return -jnp.mean(jax.nn.log_softmax(scores(variables, shown))[:, target])

    def step(number, carry):
        patch, state = carry
        key = jax.random.fold_in(jax.random.key(SEED), number)
        updates, state = _optimizer().update(jax.grad(loss)(patch, key), state)
        return jnp.clip(patch + updates, 0.0, 1.0), state

    return jax.lax.fori_loop(*steps, step, carry)
