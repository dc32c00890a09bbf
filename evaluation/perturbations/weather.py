"""Fog and spatters over single images."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from evaluation.perturbations.affine import Image
from evaluation.perturbations.blur import gaussian

# Doublings of the fractal, the first of which are of all of it; then it has 64x64 points.
_COARSE, _LEVELS = 6, 8


def fog(image: Image, key: Key[Array, ""], strength: float, decay: float) -> Image:
    """Adds a fractal to an image, and scales the sum back to the image's largest value.

    Args:
        image: In [0, 1].
        key: Of the fractal.
        strength: Of the fractal.
        decay: See `plasma`.
    """
    layer = plasma(key, image.shape[:2], decay)[..., None]
    most = jnp.max(image)
    return (image + strength * layer) * most / (most + strength)


def plasma(
    key: Key[Array, ""], size: tuple[int, ...], decay: float
) -> Float[Array, "height width"]:
    """Draws a corner of a fractal by midpoint displacement (diamond-square).

    The fractal has 256x256 points and repeats beyond its edges. From one point at 0 it doubles
    until it has its size: new points are the means of their four neighbours plus uniform noise,
    first in the middle of each square of points, then in the middle of its sides. It is scaled so
    that its 64x64 coarse points go from 0 to 1. What is finer, noise of at most 2 % of the first,
    is drawn for the corner alone, in a tenth of the time.

    Args:
        key: Of the noise.
        size: Rows and columns of the corner.
        decay: Of the noise's square root from one doubling to the next: noise falls by its square.
    """
    noise = _noise(key, max(size), decay)
    coarse = jnp.zeros((1, 1))
    for each in noise[:_COARSE]:
        coarse = doubled(coarse, each)
    wrapped = np.arange(-1, noise[_COARSE].shape[1] - 1) % len(coarse)
    corner = coarse[wrapped][:, wrapped]
    for each in noise[_COARSE:]:
        side = each.shape[1]
        corner = doubled(corner[:side, :side], each)[1:-2, 1:-2]
    low, high = jnp.min(coarse), jnp.max(coarse)
    return (corner[1 : size[0] + 1, 1 : size[1] + 1] - low) / (high - low)


def _noise(key, size: int, decay: float) -> list[Float[Array, "3 side side"]]:
    """Draws the noise of each doubling, of the whole map and then of a corner of so many points."""
    # A corner begins with the point before the first, for doubling a part of a map spoils one point
    # at its start and two at its end.
    sides = [size + 1]
    for _ in range(_COARSE, _LEVELS):
        sides.insert(0, -(-(sides[0] + 3) // 2))
    sides = [2**level for level in range(_COARSE)] + sides[:-1]
    # All at once, for every draw of its own takes long to compile.
    counts = [3 * side**2 for side in sides]
    drawn = jax.random.uniform(key, (sum(counts),), minval=-1.0)
    parts = jnp.split(drawn, np.cumsum(counts[:-1]))
    return [
        part.reshape(3, side, side) / decay ** (2 * level)
        for level, (part, side) in enumerate(zip(parts, sides, strict=True))
    ]


def doubled(
    heights: Float[Array, "size size"], noise: Float[Array, "3 size size"]
) -> Float[Array, "double double"]:
    """Puts a point between any two of a map that repeats beyond its edges.

    Args:
        heights: The map.
        noise: Of the points in the middle of squares, of those to the right of a point, and of
            those below one.
    """
    centre_noise, right_noise, below_noise = noise
    right_of = jnp.roll(heights, -1, axis=1)
    below = jnp.roll(heights, -1, axis=0)
    centres = (heights + right_of + below + jnp.roll(right_of, -1, axis=0)) / 4.0 + centre_noise
    to_right = (heights + right_of + centres + jnp.roll(centres, 1, axis=0)) / 4.0 + right_noise
    to_below = (heights + below + centres + jnp.roll(centres, 1, axis=1)) / 4.0 + below_noise
    rows = jnp.stack([heights, to_right], axis=-1), jnp.stack([to_below, centres], axis=-1)
    return jnp.stack(rows, axis=1).reshape(2 * len(heights), -1)


def spatter(image: Image, noise: Float[Array, "height width 1"]) -> Image:
    """Covers an image with soft, dark spots where smoothed noise is high.

    Args:
        image: In [0, 1].
        noise: Of mean 0.65 and standard deviation 0.3. Its Gaussian of one pixel is compared with
            0.65, and spots are softened by one of 1.5 pixels, of which less than 0.8 is nothing.
    """
    spots = (gaussian(noise, 1.0) > 0.65).astype(image.dtype)
    soft = gaussian(spots, 1.5)
    cover = jnp.where(soft < 0.8, 0.0, soft)
    return (1.0 - cover) * image + cover * (63.0 / 255.0)
