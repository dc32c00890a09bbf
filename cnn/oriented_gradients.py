"""Histograms of oriented gradients: designed features that small shifts and contrast hardly change.

Dalal and Triggs (2005), "Histograms of oriented gradients for human detection". Each pixel votes
with the length of its gradient for the one bin that its orientation, without a sign, falls into;
votes are summed over square cells, which is where a shift within a cell is lost, and the cells of
every square block are normalised together, which is where contrast is lost.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_images

EPS = 1e-5
"""Added, squared, to the squared length of a block."""
MAX_SHARE = 0.2
"""Of a normalised block, that one bin may have before the block is normalised again."""


def oriented_gradients(
    images: Num[ArrayLike, "batch height width channels"],
    *,
    orientations: int = 9,
    cell: int = 4,
    block: int = 2,
) -> Float[Array, "batch rows columns block block orientations"]:
    """Computes normalised histograms for every block of cells, one cell apart.

    Args:
        images: Of any scale, which counts no more than `EPS`. Of several channels the one of the
            longest gradient counts, pixel by pixel.
        orientations: Bins of half a circle, the first of which begins at a gradient along x.
        cell: Side of a cell, in pixels; pixels that fill no cell are left out.
        block: Side of a block, in cells.

    Returns:
        Of each block, bins of each of its cells, of Euclidean length 1 (or 0) and limited to
        `MAX_SHARE` in between ("L2-Hys").

    Raises:
        ValueError: if the images have no whole block.
    """
    images = as_images(images)
    height, width = images.shape[1:3]
    rows, columns = height // cell, width // cell
    if min(rows, columns) < block:
        raise ValueError(
            f"images of {height}x{width} have {rows}x{columns} cells of {cell}x{cell} pixels, "
            f"fewer than a block of {block}x{block}"
        )
    down, right = _strongest_gradients(images)
    bins = jnp.floor(_angles(down, right) * (orientations / jnp.pi)).astype(jnp.int32)
    # Rounding may bring an orientation just below half a circle to the bin behind the last.
    bins = jnp.minimum(bins, orientations - 1)
    votes = jax.nn.one_hot(bins, orientations) * _lengths(down, right)[..., None]
    votes = votes[:, : rows * cell, : columns * cell]
    cells = votes.reshape(images.shape[0], rows, cell, columns, cell, orientations).mean(
        axis=(2, 4)
    )
    return _normalised(_blocks(cells, block))


def _strongest_gradients(images):
    """Central differences down and to the right, 0 at the edges; `[batch, height, width]` each."""
    down = jnp.pad(images[:, 2:] - images[:, :-2], ((0, 0), (1, 1), (0, 0), (0, 0)))
    right = jnp.pad(images[:, :, 2:] - images[:, :, :-2], ((0, 0), (0, 0), (1, 1), (0, 0)))
    longest = jnp.argmax(jnp.square(down) + jnp.square(right), axis=-1, keepdims=True)
    down, right = (jnp.take_along_axis(each, longest, axis=-1) for each in (down, right))
    return down[..., 0], right[..., 0]


def _angles(down, right):
    """Orientations in [0, pi): gradients up and down are one."""
    angles = jnp.arctan2(jax.lax.stop_gradient(down), jax.lax.stop_gradient(right))
    angles = jnp.where(angles < 0.0, angles + jnp.pi, angles)
    return jnp.where(angles >= jnp.float32(jnp.pi), 0.0, angles)


def _lengths(down, right):
    """Lengths whose gradient is 0, not NaN, where there is no slope."""
    squares = jnp.square(down) + jnp.square(right)
    sloping = squares > 0.0
    return jnp.where(sloping, jnp.sqrt(jnp.where(sloping, squares, 1.0)), 0.0)


def _blocks(cells, block):
    """Every square of cells, `[batch, rows, columns, block, block, orientations]`."""
    rows, columns = (size - block + 1 for size in cells.shape[1:3])
    lines = [
        jnp.stack([cells[:, y : y + rows, x : x + columns] for x in range(block)], axis=3)
        for y in range(block)
    ]
    return jnp.stack(lines, axis=3)


def _normalised(blocks):
    for limit in (MAX_SHARE, jnp.inf):
        squares = jnp.sum(jnp.square(blocks), axis=(-3, -2, -1), keepdims=True)
        blocks = jnp.minimum(blocks * jax.lax.rsqrt(squares + EPS**2), limit)
    return blocks
