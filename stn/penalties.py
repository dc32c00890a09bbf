"""Penalties that keep a warp near the identity, inside the image, and from collapsing to a point.

Each is a term to add to a loss with a weight of one's own, is computed from the grid alone and so
serves every family of transforms, and is zero with a zero gradient wherever the warp is as it
should be.

A projective warp sends points near its horizon arbitrarily far, at a speed that grows with the
square of their distance. Lengths therefore count by their square only up to `_FAR`, and from there
on ever less, so that no point's pull on the parameters grows without bound.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import widened
from stn.diagnostics import checked_grid
from stn.sampling.grids import axis_coordinates, identity_grid

# Twice the image's width, in normalised units.
_FAR = 4.0
# Relative area, a hundredth of the side, below which all collapsed warps count about the same.
_POINT = 1e-4


def identity_penalty(
    grid: Num[ArrayLike, "batch *out dims"], *, align_corners: bool = False
) -> Float[Array, ""]:
    """Mean squared distance of the sampling points from where they are under the identity.

    Args:
        grid: Of any transform, for images or volumes.
        align_corners: As the grid was made.

    Returns:
        In squared normalised units; zero only for the identity. Distances above 4, which is twice
        the image's width, count less than their square; the penalty stays below 48.

    Raises:
        ValueError: if the grid is neither of images nor of volumes.
    """
    grid = _checked(grid)
    rest = jnp.asarray(identity_grid(grid.shape[1:-1], align_corners=align_corners), grid.dtype)
    return jnp.mean(_tempered(jnp.sum((grid - rest) ** 2, axis=-1)))


def outside_penalty(
    grid: Num[ArrayLike, "batch *out dims"], *, limit: float = 1.0
) -> Float[Array, ""]:
    """Mean squared distance by which the sampling points leave the image.

    Args:
        grid: Of any transform, for images or volumes.
        limit: Coordinates in [-limit, limit] are free; 1 is the image's edge. A rotated square
            leaves the image by its corners, so a limit of 1.5 lets it turn.

    Returns:
        In squared normalised units, below 48 as the identity's; zero if all are within the limit.

    Raises:
        ValueError: if the grid is neither of images nor of volumes, or the limit is negative.
    """
    grid = _checked(grid)
    validation.check_values(limit=(limit, validation.number(0.0, 1e6)))
    excess = jnp.maximum(jnp.abs(grid) - limit, 0.0)
    return jnp.mean(_tempered(jnp.sum(excess**2, axis=-1)))


def collapse_penalty(
    grid: Num[ArrayLike, "batch height width 2"],
    *,
    smallest_area: float = 0.05,
    align_corners: bool = False,
) -> Float[Array, ""]:
    """Penalty on areas that the warp shrinks below a floor, anywhere in the image.

    The area of every quadrilateral of neighbouring points, which is |det| of the grid's Jacobian,
    is compared with its area under the identity. A mirrored warp counts as its mirror image.
    Quadrilaterals with a corner farther out than 4 do not count: they are not in the image, and
    behind a horizon they have no area.

    Args:
        grid: Of any transform, of two pixels or more each way.
        smallest_area: Relative areas from here on are free; a crop of scale s has s^2.
        align_corners: As the grid was made.

    Returns:
        The mean of max(0, log(smallest_area / area))^2, where areas below 1e-4 count about alike.
        It is finite even for an area of zero, out of which, however, no gradient leads.

    Raises:
        ValueError: if the grid is a single pixel high or wide, or smallest_area is not above 1e-4.
    """
    grid = checked_grid(grid)
    if min(grid.shape[1:3]) < 2:
        raise ValueError(f"a grid of {grid.shape[1]}x{grid.shape[2]} points has no area")
    if not _POINT < smallest_area < np.inf:
        raise ValueError(f"smallest_area={smallest_area}: must be finite and above {_POINT}")
    top_left, top_right, bottom_left, bottom_right = _corners(grid)
    falling, rising = bottom_right - top_left, top_right - bottom_left
    doubled = rising[..., 0] * falling[..., 1] - rising[..., 1] * falling[..., 0]
    steps = [
        float(np.diff(axis_coordinates(size, align_corners=align_corners))[0])
        for size in grid.shape[1:3]
    ]
    # The clip keeps the square from overflowing; there the penalty is zero anyway.
    share = jnp.clip(doubled / (2.0 * steps[0] * steps[1] * smallest_area), -1.0, 1.0)
    least = (_POINT / smallest_area) ** 2
    shrunk = -0.5 * jnp.log(share**2 + least * (1.0 - share**2))
    # What is not a number is not far, and so stays in the mean.
    near = functools.reduce(jnp.logical_and, _corners(jnp.all(~(jnp.abs(grid) >= _FAR), axis=-1)))
    return jnp.mean(jnp.where(near, shrunk, 0.0) ** 2)


def _checked(grid):
    grid = widened(grid)
    dims = grid.ndim - 2
    if dims not in (2, 3) or grid.shape[-1] != dims:
        raise ValueError(
            f"grid of shape {grid.shape}: must be [batch, height, width, 2], or "
            "[batch, depth, height, width, 3] for volumes"
        )
    return grid


def _corners(points):
    """Top left, top right, bottom left and bottom right of all cells between four points."""
    return points[:, :-1, :-1], points[:, :-1, 1:], points[:, 1:, :-1], points[:, 1:, 1:]


def _tempered(squared):
    """Squared lengths, beyond `_FAR` going over into 3 far^2 - 2 far^3 / length, smoothly."""
    far = _FAR**2
    return jnp.minimum(squared, far) + 2.0 * far * (1.0 - jnp.sqrt(far / jnp.maximum(squared, far)))
