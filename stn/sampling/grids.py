"""Grids of sampling points: for every output pixel, where in the input it is read.

Coordinates are normalised to [-1, 1] in output and input alike, in the order (x, y) or (x, y, z),
so a transform does not depend on sizes. Equation 1 of Jaderberg et al. (2015).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import widened


def axis_coordinates(size: int, *, align_corners: bool = False) -> np.ndarray:
    """Normalised positions of the pixel centres along one axis, in float64.

    Args:
        size: Pixels along the axis.
        align_corners: Whether the first and last centre are at -1 and 1; else their outer edges
            are. The only pixel of an axis is at 0 either way.

    Returns:
        `[size]`, increasing.

    Raises:
        ValueError: if the size is below 1.
    """
    validation.check_values(size=(size, validation.whole()))
    if align_corners and size > 1:
        return np.linspace(-1.0, 1.0, size)
    return (2.0 * np.arange(size) + 1.0) / size - 1.0


def check_size(size: Sequence[int]) -> tuple[int, ...]:
    """The sizes as a tuple; raises a `ValueError` unless all are whole numbers, at least 1."""
    sizes = tuple(size)
    validation.check_values(size=(sizes, validation.each(validation.whole(), least=1)))
    return sizes


def identity_grid(size: Sequence[int], *, align_corners: bool = False) -> np.ndarray:
    """The grid that reads every pixel where it is.

    Args:
        size: (height, width) or (depth, height, width).
        align_corners: See `axis_coordinates`.

    Returns:
        `[*size, dims]` in float64, the last axis of the image first: (x, y) or (x, y, z).

    Raises:
        ValueError: if a size is below 1.
    """
    size = check_size(size)
    axes = [axis_coordinates(length, align_corners=align_corners) for length in size]
    return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)


def affine_grid(
    theta: Num[ArrayLike, "batch dims columns"],
    size: Sequence[int],
    *,
    align_corners: bool = False,
) -> Float[Array, "batch *out dims"]:
    """Grid of the points in the input to which an affine map sends every output pixel.

    Args:
        theta: `[batch, 2, 3]` for images, `[batch, 3, 4]` for volumes; rows in the order x, y(, z).
            The map goes from output to input: a positive shift in x moves the content left.
        size: Of the output: (height, width) or (depth, height, width).
        align_corners: See `axis_coordinates`; give the sampler the same.

    Returns:
        `[batch, height, width, 2]` or `[batch, depth, height, width, 3]`, float32 or wider.

    Raises:
        ValueError: if theta and size are not both for images or both for volumes, or a size is
            below 1.
    """
    theta = widened(theta)
    size = check_size(size)
    dims = len(size)
    if dims not in (2, 3) or theta.shape[1:] != (dims, dims + 1):
        raise ValueError(
            f"theta {theta.shape} and size {tuple(size)} do not fit together: theta is "
            "[batch, 2, 3] for (height, width) and [batch, 3, 4] for (depth, height, width)"
        )
    axes = [axis_coordinates(length, align_corners=align_corners) for length in size[::-1]]
    rows = jnp.split(theta, dims, axis=1)
    return jnp.concatenate([_affine_coordinate(row[:, 0], axes) for row in rows], axis=-1)


def _affine_coordinate(row, axes):
    """One row of the maps at every point, as a sum of one term an axis: `[batch, *size, 1]`.

    A sum of outer parts and no matrix product: XLA fuses it with what reads the grid, and it is
    exact to float32 on accelerators whose matrix products are not.
    """
    dims = len(axes)
    batch = row.shape[0]
    total = row[:, -1].reshape(batch, *[1] * (dims + 1))
    for number, axis in enumerate(axes):
        term = row[:, number, None] * jnp.asarray(axis, row.dtype)
        shape = [1] * dims
        shape[dims - 1 - number] = len(axis)
        total = total + term.reshape(batch, *shape, 1)
    return total
