"""Edges of an image after Canny (1986): smooth, differentiate, thin, and follow strong lines."""

import itertools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from evaluation.perturbations.affine import Image

SIGMA = 1.0
LOW, HIGH = 0.1, 0.2
"""Thresholds of the gradient's length, by Sobel's weights, of images in [0, 1]."""

_RADIUS = 4
_AROUND = tuple(itertools.product((-1, 0, 1), repeat=2))


def edges(image: Image) -> Image:
    """Finds each channel's edges, as 1 on 0.

    A Gaussian of one pixel; Sobel's gradient; a pixel stays if no neighbour along its gradient,
    to the nearest of eight directions, has a larger one; and of those above the low threshold the
    ones that touch, through others, one above the high threshold. Outside the image is blank.
    """
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / SIGMA) ** 2)
    smooth = _along(_along(image, weights / weights.sum(), 0), weights / weights.sum(), 1)
    slope, mean = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0])
    y = _along(_along(smooth, slope, 0), mean, 1)
    x = _along(_along(smooth, slope, 1), mean, 0)
    length = jnp.sqrt(x**2 + y**2)
    thin = jnp.where(_is_ridge(length, x, y), length, 0.0)
    return _follow(thin >= HIGH, thin >= LOW).astype(image.dtype)


def _along(image: Image, weights: np.ndarray, axis: int) -> Image:
    """Correlates an image with weights along one axis."""
    total = jnp.zeros_like(image)
    for position, weight in enumerate(weights):
        step = (position - len(weights) // 2) * np.eye(2, dtype=int)[axis]
        total += weight * _neighbour(image, *step)
    return total


def _neighbour(image, down, right):
    """Reads the pixel so many pixels down and right of each one."""
    height, width = image.shape[:2]
    padded = jnp.pad(image, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)))
    start = (_RADIUS + int(down), _RADIUS + int(right), 0)
    return lax.slice(padded, start, (start[0] + height, start[1] + width, image.shape[2]))


def _is_ridge(
    length: Float[Array, "height width channels"],
    x: Float[Array, "height width channels"],
    y: Float[Array, "height width channels"],
) -> Bool[Array, "height width channels"]:
    """Finds pixels without a larger neighbour along the gradient; of two equal ones the first."""
    steep = np.tan(np.pi / 8)
    across, down = jnp.abs(y) <= steep * jnp.abs(x), jnp.abs(x) <= steep * jnp.abs(y)
    falling = x * y > 0
    ridge = jnp.zeros(length.shape, bool)
    directions = {
        (0, 1): across,
        (1, 0): down & ~across,
        (1, 1): ~across & ~down & falling,
        (1, -1): ~across & ~down & ~falling,
    }
    for (step_y, step_x), chosen in directions.items():
        before = length > _neighbour(length, -step_y, -step_x)
        after = length >= _neighbour(length, step_y, step_x)
        ridge |= chosen & before & after
    return ridge


def _follow(strong, weak):
    """Keeps weak pixels that a path over weak ones, diagonals included, joins to a strong one."""

    def grow(state):
        reached, _ = state
        near = sum(_neighbour(reached.astype(jnp.float32), *step) for step in _AROUND)
        grown = weak & (near > 0)
        return grown, jnp.any(grown != reached)

    return lax.while_loop(lambda state: state[1], grow, (strong, jnp.any(strong)))[0]
