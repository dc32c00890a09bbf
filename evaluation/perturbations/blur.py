"""Blurs of single images: Gaussian, glass and motion blur."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from evaluation.perturbations.affine import Image

Padding = Literal["edge", "constant"]
"""What lies outside an image: its outermost pixels again, or zeros."""
# Standard deviations after which the tail of a Gaussian is cut off, as scipy's are.
_TRUNCATED = 4.0


def gaussian(image: Image, sigma: float, padding: Padding = "edge") -> Image:
    """Smooths an image with a Gaussian.

    Args:
        image: Of any number of channels.
        sigma: Its standard deviation, in pixels.
        padding: What lies outside the image.
    """
    radius = int(_TRUNCATED * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return along(along(image, weights, 0, padding), weights, 1, padding)


def along(image: Image, weights: np.ndarray, axis: int, padding: Padding) -> Image:
    """Correlates an image with an odd number of weights along its rows' axis, 0, or the other, 1.

    Written as a product with a matrix, which compiles faster than a sum of shifted images.
    """
    length, radius = image.shape[axis], len(weights) // 2
    pixels = np.pad(np.eye(length), ((radius, radius), (0, 0)), padding)
    matrix = sum(weight * pixels[k : k + length] for k, weight in enumerate(weights))
    matrix = jnp.asarray(matrix, image.dtype)
    kind = ("ah,hwc->awc", "aw,hwc->hac")[axis]
    return jnp.einsum(kind, matrix, image, precision=lax.Precision.HIGHEST)


def glass(image: Image, key: Key[Array, ""], sigma: float, reach: int, rounds: int) -> Image:
    """Smooths an image, swaps its pixels with ones nearby, and smooths it again.

    Args:
        image: In [0, 1].
        key: Of the swaps.
        sigma: Standard deviation of both Gaussians, in pixels.
        reach: Pixels swap with ones up to so many above and to the left, and one fewer below and to
            the right.
        rounds: How often every pixel but those at the frame's edge has its turn.
    """
    turns = positions(image.shape[:2], reach, rounds)
    chance_key, step_key = jax.random.split(key)
    chosen = jax.random.bernoulli(chance_key, shape=(len(turns),))
    steps = jax.random.randint(step_key, turns.shape, -reach, reach)
    levels = jnp.floor(255.0 * gaussian(image, sigma))
    return gaussian(swap(levels, turns, steps * chosen[:, None]) / 255.0, sigma)


def positions(size: tuple[int, ...], reach: int, rounds: int) -> Int[np.ndarray, "turns 2"]:
    """Lists (row, column) of each pixel in its turn, from the bottom right to the top left."""
    rows, columns = (np.arange(length - reach, reach, -1) for length in size)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.tile(grid, (rounds, 1))


def swap(image: Image, turns: Int[np.ndarray, "turns 2"], steps: Int[Array, "turns 2"]) -> Image:
    """Swaps the pixel of each turn with the one so many rows and columns away, in order."""

    def body(image, turn):
        here, there = turn[0], turn[0] + turn[1]
        pair = jnp.stack([here, there])
        return image.at[pair[:, 0], pair[:, 1]].set(image[pair[::-1, 0], pair[::-1, 1]]), None

    return lax.scan(body, image, (jnp.asarray(turns), steps))[0]


def motion(image: Image, degrees: Float[Array, ""], sigma: float, radius: int) -> Image:
    """Smears an image along a direction, with half of a Gaussian.

    The mean of 2 radius + 1 pixels, from the one itself onwards along the direction, each the
    nearest one, weighted by a Gaussian of their distance.

    Args:
        image: Of any number of channels.
        degrees: The direction, clockwise from the right as seen.
        sigma: Standard deviation, in pixels.
        radius: Half the number of pixels.
    """
    distance = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    angle = jnp.deg2rad(degrees)
    height, width = image.shape[:2]

    def read(step):
        right, down = (
            jnp.ceil(step * ratio - 0.5).astype(int) for ratio in (jnp.cos(angle), jnp.sin(angle))
        )
        rows = jnp.clip(jnp.arange(height) + down, 0, height - 1)
        columns = jnp.clip(jnp.arange(width) + right, 0, width - 1)
        return image[rows][:, columns]

    smeared = sum(weight * read(step) for step, weight in enumerate(weights / weights.sum()))
    return jnp.asarray(smeared)
