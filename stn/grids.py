"""Grids of sampling points: for every output pixel, where in the input it is read.

Coordinates are normalised to [-1, 1] in output and input alike, in the order (x, y) or (x, y, z),
so a transform does not depend on sizes. Equation 1 of Jaderberg et al. (2015).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def axis_coordinates(size: int, *, align_corners: bool = False) -> np.ndarray:
    """Normalised positions of the pixel centres along one axis, in float64.

    Args:
        size: Pixels along the axis.
        align_corners: Whether the first and last centre are at -1 and 1; else their outer edges
            are. The only pixel of an axis is at 0 either way.

    Returns:
        `[size]`, increasing.
    """
    if align_corners and size > 1:
        return np.linspace(-1.0, 1.0, size)
    return (2.0 * np.arange(size) + 1.0) / size - 1.0


def identity_grid(size: Sequence[int], *, align_corners: bool = False) -> np.ndarray:
    """The grid that reads every pixel where it is.

    Args:
        size: (height, width) or (depth, height, width).
        align_corners: See `axis_coordinates`.

    Returns:
        `[*size, dims]` in float64, the last axis of the image first: (x, y) or (x, y, z).
    """
    axes = [axis_coordinates(length, align_corners=align_corners) for length in size]
    return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)


def affine_grid(
    theta: Float[Array, "batch dims columns"],
    size: Sequence[int],
    *,
    align_corners: bool = False,
) -> Float[Array, "batch *out dims"]:
    """Where an affine map sends every output pixel in the input.

    Args:
        theta: `[batch, 2, 3]` for images, `[batch, 3, 4]` for volumes; rows in the order x, y(, z).
            The map goes from output to input: a positive shift in x moves the content left.
        size: Of the output: (height, width) or (depth, height, width).
        align_corners: See `axis_coordinates`; give the sampler the same.

    Returns:
        `[batch, height, width, 2]` or `[batch, depth, height, width, 3]`, float32 or wider.

    Raises:
        ValueError: if theta and size are not both for images or both for volumes.
    """
    dims = len(size)
    if dims not in (2, 3) or theta.shape[1:] != (dims, dims + 1):
        raise ValueError(
            f"theta {theta.shape} and size {tuple(size)} do not fit together: theta is "
            "[batch, 2, 3] for (height, width) and [batch, 3, 4] for (depth, height, width)"
        )
    theta = theta.astype(jnp.promote_types(theta.dtype, jnp.float32))
    axes = [axis_coordinates(length, align_corners=align_corners) for length in size[::-1]]
    rows = jnp.split(theta, dims, axis=1)
    return jnp.concatenate([_affine_coordinate(row[:, 0], axes) for row in rows], axis=-1)


def _affine_coordinate(row, axes):
    """One row of the maps at every point, as a sum of one term an axis: `[batch, *size, 1]`.

    A sum of outer parts and no matrix product: XLA fuses it with what reads the grid, and it is
    exact to float32 on accelerators whose matrix products are not.
    """
    dims = len(axes)
    total = row[:, -1].reshape(-1, *[1] * (dims + 1))
    for number, axis in enumerate(axes):
        term = row[:, number, None] * jnp.asarray(axis, row.dtype)
        shape = [1] * dims
        shape[dims - 1 - number] = len(axis)
        total = total + term.reshape(-1, *shape, 1)
    return total
