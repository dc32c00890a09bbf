"""Sampling that averages where the grid shrinks the image.

`stn.sample` reads a point, so an image that shrinks by more than two loses whatever lies between
the points and shows patterns that are not there. Here every output pixel is read over its
footprint, which is taken from the steps between neighbouring points of the grid. That needs the
grid only, so it works with every transform, and the footprints are centred on the points whatever
`align_corners` is.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, same_type
from stn.sampling import sample

Images = Num[ArrayLike, "batch height width channels"]
Grid = Num[ArrayLike, "batch out_height out_width 2"]
# Along each side: their number squared is read at once.
MAX_READS = 64
Output = Float[Array, "batch out_height out_width channels"]


def sample_supersampled(
    images: Num[ArrayLike, "batch *spatial channels"],
    grid: Num[ArrayLike, "batch *out dims"],
    *,
    factor: int,
    padding: str = "zeros",
    align_corners: bool = False,
) -> Float[Array, "batch *out channels"]:
    """Averages `factor` reads along each axis of an output pixel, spread evenly over it.

    Exact in its spacing for affine grids; others are taken as affine within one output pixel.

    Args:
        images: NHWC, or volumes with a depth before.
        grid: As for `stn.sample`. Along an axis with one point there is no step to spread over.
        factor: Reads along each side of an output pixel, at least 1; 1 is `stn.sample`. Take the
            largest shrinking that is expected. The cost is that of `factor**2` samplings, in
            volumes `factor**3`.
        padding: See `stn.sample`.
        align_corners: See `stn.sample`.

    Returns:
        Images of the grid's size.

    Raises:
        ValueError: if `factor` is not from 1 to `MAX_READS`, and as `stn.sample` does.
    """
    validation.check_values(factor=(factor, validation.whole(most=MAX_READS)))
    grid = as_float(grid)
    if factor == 1:
        return sample(images, grid, padding=padding, align_corners=align_corners)
    # Their mean is zero: the footprint does not shift what it reads.
    offsets = [(place + 0.5) / factor - 0.5 for place in range(factor)]
    fine = grid[:, None]
    for step in _steps(grid):
        fine = jnp.concatenate([fine + offset * step[:, None] for offset in offsets], axis=1)
    return jnp.mean(sample(images, fine, padding=padding, align_corners=align_corners), axis=1)


def sample_mipmapped(
    images: Images,
    grid: Grid,
    *,
    levels: int,
    padding: str = "zeros",
    align_corners: bool = False,
) -> Output:
    """Reads from a pyramid of 2x2 averages, at the level where a step is about one pixel.

    Trilinear mip mapping (Williams, 1983): the level is log2 of the longer of the two steps to
    neighbouring points, in pixels of the image; between levels the reads are mixed linearly.

    Args:
        images: NHWC.
        grid: As for `stn.sample`.
        levels: Images in the pyramid, at least 1, where it is `stn.sample`. They reach
            shrinking by `2**(levels - 1)`; beyond, the last one aliases.
        padding: "zeros" or "border"; see `stn.sample`. What surrounds coarser levels starts at
            their own, larger pixels.
        align_corners: See `stn.sample`.

    Returns:
        Images of the grid's size.

    Raises:
        ValueError: if `levels` is not from 1 to 16 or `padding` is another, the images are volumes,
            and as `stn.sample` does.
    """
    validation.check_values(levels=(levels, validation.whole(most=16)))
    images, grid = as_float(images), as_float(grid)
    if images.ndim != 4 or grid.ndim != 4:
        raise ValueError(
            f"images {images.shape} and grid {grid.shape} do not fit together: mip mapping takes "
            "[batch, height, width, channels] and [batch, out_height, out_width, 2]"
        )
    if padding not in ("zeros", "border"):
        raise ValueError(f"padding={padding!r}: a pyramid takes 'zeros' or 'border'")
    total = sample(images, grid, padding=padding, align_corners=align_corners)
    if levels == 1:
        return total
    frame = jnp.array(
        [images.shape[2] - align_corners, images.shape[1] - align_corners], grid.dtype
    )
    level = jnp.clip(_level(grid * frame / 2.0), 0.0, levels - 1.0)[..., None]
    total = _weighted(total, jnp.maximum(1.0 - level, 0.0))
    # Distances from the image's upper left edge in its pixels; they mean the same at every level.
    distance = ((grid + 1.0) * frame + float(align_corners)) / 2.0
    halved = images
    for number in range(1, levels):
        halved = _halved(halved, padding)
        size = jnp.array([halved.shape[2], halved.shape[1]], grid.dtype)
        coarse = distance / 2.0**number * 2.0 / size - 1.0
        weight = jnp.maximum(1.0 - jnp.abs(level - number), 0.0)
        total = total + _weighted(sample(halved, coarse, padding=padding), weight)
    return total


def _weighted(values, weight):
    values, weight = same_type(values, weight)
    return values * weight


def _steps(grid) -> list[Array]:
    """The grid's steps along each of its axes, central inside and one-sided at the ends.

    Beside a point that is not a number there is none to take, and the step counts as zero.
    """
    steps = [
        jnp.zeros_like(grid)
        if grid.shape[axis] == 1
        else jnp.asarray(jnp.gradient(grid, axis=axis))
        for axis in range(1, grid.ndim - 1)
    ]
    return [jnp.where(jnp.isfinite(step), step, 0.0) for step in steps]


def _level(pixels):
    """log2 of the longer step, and 0 where the grid does not shrink."""
    squared = [jnp.sum(step**2, axis=-1) for step in _steps(pixels)]
    longest = jnp.maximum(*squared)
    return 0.5 * jnp.log2(jnp.where(longest > 1.0, longest, 1.0))


def _halved(images, padding):
    """2x2 averages; an odd last row or column is completed by what the padding reads there."""
    odd = [(0, size % 2) for size in images.shape[1:3]]
    mode = "constant" if padding == "zeros" else "edge"
    images = jnp.pad(images, ((0, 0), *odd, (0, 0)), mode=mode)
    window = (1, 2, 2, 1)
    zero = jnp.zeros((), images.dtype)
    return lax.reduce_window(images, zero, lax.add, window, window, "VALID") / 4.0
