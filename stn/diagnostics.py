"""Effect of a warp, read off its grid and so in the same terms for every family of transforms.

The numbers are those of the affine map that fits the grid best. It is split as in `BoundedAffine`:
scales along the axes, then shear, then rotation, then the shift. All maps go from output to
input: a scale above 1 zooms out, a shift to the right reads further right.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Num

from cnn.arrays import as_float, widened
from stn.sampling.grids import check_size, identity_grid

# Rounding may move a point that lies on the image's edge.
_EDGE = 1.0 + 1e-5


class WarpStatistics(NamedTuple):
    """Numbers of each warp of a batch.

    Attributes:
        rotation: Degrees in [-180, 180], from the x axis towards the y axis, which points down.
        scale: Square root of the area's factor.
        log_area: Logarithm of the area's factor; 0 keeps areas, minus infinity has collapsed.
        stretch: Scale along x over scale along y.
        shear: Tangent of the angle by which the y axis leans over.
        shift_x: Of the image's centre, in normalised units: 1 is half the image.
        shift_y: The same, downwards.
        coverage: Share of the sampling points that lie within the image, in [0, 1].
        bend: Root mean square distance of the points from the affine map, in normalised units.
        reflected: Whether the map turns the image over. The other numbers then are of the map
            without its mirror from left to right, which acts first.
    """

    rotation: Float[Array, " batch"]
    scale: Float[Array, " batch"]
    log_area: Float[Array, " batch"]
    stretch: Float[Array, " batch"]
    shear: Float[Array, " batch"]
    shift_x: Float[Array, " batch"]
    shift_y: Float[Array, " batch"]
    coverage: Float[Array, " batch"]
    bend: Float[Array, " batch"]
    reflected: Bool[Array, " batch"]


def warp_statistics(
    grid: Num[ArrayLike, "batch height width 2"], *, align_corners: bool = False
) -> WarpStatistics:
    """Rotation, scale, shear, shift and coverage of each warp.

    Angles and scales are in normalised coordinates, which in an image that is not square are not
    those of its pixels. Where a projective warp has a horizon inside the image, only the coverage
    means something; where a warp has collapsed, stretch and shear are not finite.

    Args:
        grid: Of any transform, of two pixels or more each way.
        align_corners: As the grid was made.

    Raises:
        ValueError: if the grid is a single pixel high or wide, or not of images.
    """
    grid = checked_grid(grid)
    if min(grid.shape[1:3]) < 2:
        raise ValueError(f"a grid of {grid.shape[1]}x{grid.shape[2]} points shows no rotation")
    points = grid.reshape(grid.shape[0], grid.shape[1] * grid.shape[2], 2)
    rest = identity_grid(grid.shape[1:3], align_corners=align_corners).reshape(-1, 2)
    design = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    # The least squares are solved when the program is built: `fit` is [batch, 3, 2].
    fit = _product(np.linalg.pinv(design), points)
    residual = points - _product(design, fit)
    columns, shift = fit[:, :2], fit[:, 2]
    determinant = _cross(columns[:, 0], columns[:, 1])
    x_axis = jnp.where(determinant < 0, -1.0, 1.0)[:, None] * columns[:, 0]
    area = jnp.abs(determinant)
    covered = jnp.mean(jnp.all(jnp.abs(points) <= _EDGE, axis=-1), axis=-1)
    return WarpStatistics(
        rotation=jnp.degrees(jnp.arctan2(x_axis[:, 1], x_axis[:, 0])),
        scale=jnp.sqrt(area),
        log_area=jnp.log(area),
        stretch=jnp.sum(x_axis**2, axis=-1) / area,
        shear=jnp.sum(x_axis * columns[:, 1], axis=-1) / area,
        shift_x=shift[:, 0],
        shift_y=shift[:, 1],
        coverage=jnp.where(jnp.any(jnp.isnan(points), axis=(1, 2)), jnp.nan, covered),
        bend=jnp.sqrt(jnp.mean(jnp.sum(residual**2, axis=-1), axis=-1)),
        reflected=determinant < 0,
    )


def checked_grid(grid: Num[ArrayLike, "batch height width 2"]) -> Array:
    """A grid of images in float32 or wider.

    Raises:
        ValueError: if it is not `[batch, height, width, 2]`.
    """
    array = widened(grid)
    if array.ndim != 4 or array.shape[3] != 2:
        raise ValueError(f"grid of shape {array.shape}: must be [batch, height, width, 2]")
    return array


def frame(grid: Num[ArrayLike, "batch height width 2"]) -> Float[Array, "batch points 2"]:
    """The outline of what a warp reads, to be drawn on its input.

    The border of the grid, moved out by half a pixel to the outer edges of the output's pixels:
    exactly so for affine warps, by a straight line for others.

    Args:
        grid: Of any transform, of two pixels or more each way.

    Returns:
        Normalised (x, y), 2 * (height + width) + 5 points in order: along the top to the right,
        down, back along the bottom, up, and the first point once more.

    Raises:
        ValueError: if the grid is a single pixel high or wide, or not of images.
    """
    grid = checked_grid(grid)
    if min(grid.shape[1:3]) < 2:
        raise ValueError(f"a grid of {grid.shape[1]}x{grid.shape[2]} points has no outline")
    wide = _extended(jnp.swapaxes(_extended(grid), 1, 2))
    wide = jnp.swapaxes(wide, 1, 2)
    sides = [wide[:, 0, :-1], wide[:, :-1, -1], wide[:, -1, :0:-1], wide[:, ::-1, 0]]
    return jnp.concatenate(sides, axis=1)


def pixel_coordinates(
    points: Num[ArrayLike, "*points 2"], size: Sequence[int], *, align_corners: bool = False
) -> Float[Array, "*points 2"]:
    """Normalised coordinates in pixels of an image, as the sampler reads them.

    Args:
        points: (x, y), normalised.
        size: (height, width) of the image.
        align_corners: As the points were made.

    Returns:
        (x, y) in pixels, where the centre of the first pixel is at 0.

    Raises:
        ValueError: if the points or the size are not of images.
    """
    points, size = as_float(points), check_size(size)
    if points.ndim < 1 or points.shape[-1] != 2 or len(size) != 2:
        raise ValueError(
            f"points of shape {points.shape} and size {size}: must be [..., 2] and (height, width)"
        )
    sizes = jnp.asarray(size[::-1], points.dtype)
    if align_corners:
        return (points + 1.0) * (sizes - 1.0) / 2.0
    return ((points + 1.0) * sizes - 1.0) / 2.0


def _product(matrix: np.ndarray, points):
    constant = jnp.asarray(matrix, points.dtype)
    return jnp.einsum("ij,njk->nik", constant, points, precision=lax.Precision.HIGHEST)


def _cross(first, second):
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _extended(grid):
    """Adds half a step before the first and after the last row."""
    first = 1.5 * grid[:, :1] - 0.5 * grid[:, 1:2]
    last = 1.5 * grid[:, -1:] - 0.5 * grid[:, -2:-1]
    return jnp.concatenate([first, grid, last], axis=1)
