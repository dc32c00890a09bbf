"""Edges of an image after Canny (1986): smooth, differentiate, thin, and follow strong lines."""

import itertools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from evaluation.perturbations.affine import Image
from evaluation.perturbations.blur import along, gaussian

SIGMA = 1.0
LOW, HIGH = 0.1, 0.2
"""Thresholds of the gradient's length, by Sobel's weights, of images in [0, 1]."""

_AROUND = tuple(itertools.product((-1, 0, 1), repeat=2))
_EPS = 1e-12


def edges(image: Image) -> Image:
    """Finds each channel's edges, as 1 on 0; those that `skimage.feature.canny` finds.

    A Gaussian of one pixel, of the pixels within the frame alone; Sobel's gradient; a pixel stays
    if the gradient is no longer on either side of it, along the gradient, between two neighbours
    each; and of those above the low threshold the ones that touch, through others, one above the
    high threshold. The frame's outermost pixels are none.
    """
    inside = gaussian(jnp.ones_like(image), SIGMA, "constant")
    smooth = gaussian(image, SIGMA, "constant") / inside
    slope, mean = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0])
    y = along(along(smooth, slope, 0, "edge"), mean, 1, "edge")
    x = along(along(smooth, slope, 1, "edge"), mean, 0, "edge")
    length = jnp.sqrt(x**2 + y**2)
    thin = jnp.where(_is_ridge(length, x, y) & _off_border(image.shape), length, 0.0)
    return _follow(thin >= HIGH, thin >= LOW).astype(image.dtype)


def _neighbour(image, down, right):
    """Reads the pixel so many, at most one, down and right of each one; outside is blank."""
    height, width = image.shape[:2]
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))
    start = (1 + down, 1 + right, 0)
    return lax.slice(padded, start, (start[0] + height, start[1] + width, image.shape[2]))


def _off_border(shape: tuple[int, ...]) -> Bool[np.ndarray, "height width 1"]:
    inside = np.zeros((*shape[:2], 1), bool)
    inside[1:-1, 1:-1] = True
    return inside


def _is_ridge(
    length: Float[Array, "height width channels"],
    x: Float[Array, "height width channels"],
    y: Float[Array, "height width channels"],
) -> Bool[Array, "height width channels"]:
    """Finds pixels with no longer gradient a step along the gradient, either way.

    A step reaches the square of the eight neighbours, where the length is interpolated between a
    neighbour straight ahead and a diagonal one.
    """
    larger = jnp.maximum(jnp.abs(x), jnp.abs(y))
    slant = jnp.minimum(jnp.abs(x), jnp.abs(y)) / jnp.maximum(larger, _EPS)
    across, falling = jnp.abs(x) > jnp.abs(y), x * y >= 0.0

    def ahead(sign):
        right, down = _neighbour(length, 0, sign), _neighbour(length, sign, 0)
        # The diagonal on the side of `right`, and that on the side of `down`.
        beside = jnp.where(falling, _neighbour(length, sign, sign), _neighbour(length, -sign, sign))
        below = jnp.where(falling, _neighbour(length, sign, sign), _neighbour(length, sign, -sign))
        straight, diagonal = jnp.where(across, right, down), jnp.where(across, beside, below)
        return (1.0 - slant) * straight + slant * diagonal

    return (ahead(1) <= length) & (ahead(-1) <= length)


def _follow(strong, weak):
    """Keeps weak pixels that a path over weak ones, diagonals included, joins to a strong one."""

    def grow(state):
        reached, _ = state
        near = sum(_neighbour(reached.astype(jnp.float32), *step) for step in _AROUND)
        grown = weak & (near > 0)
        return grown, jnp.any(grown != reached)

    return lax.while_loop(lambda state: state[1], grow, (strong, jnp.any(strong)))[0]
