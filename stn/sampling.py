"""Sampling images at the coordinates of a grid.

Images are `[batch, height, width, channels]` or, for volumes, `[batch, depth, height, width,
channels]`. Grids hold normalised coordinates, (x, y) or (x, y, z), in [-1, 1]: with
`align_corners` the centres of the first and last pixel are at -1 and 1, without it their outer
edges are. The grid's function and the sampler must be given the same `align_corners`.

The values are those of equation 5 of Jaderberg et al. (2015), and its derivatives are taken
one-sided where the paper's equation 7, as printed, loses one neighbour at whole pixels.
"""

import itertools
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num

METHODS = ("nearest", "bilinear", "bicubic")
PADDINGS = ("zeros", "border", "reflection")
# The free parameter of the cubic convolution kernel (Keys, 1981), as PyTorch sets it.
_CUBIC = -0.75


def sample(
    images: Num[Array, "batch *spatial channels"],
    grid: Float[Array, "batch *out dims"],
    *,
    method: str = "bilinear",
    padding: str = "zeros",
    align_corners: bool = False,
) -> Float[Array, "batch *out channels"]:
    """Reads an image at every point of a grid.

    Args:
        images: Two or three spatial axes; any size, any number of channels.
        grid: Normalised coordinates of each output pixel in the input, the last axis first: (x, y)
            or (x, y, z). The output has the grid's size.
        method: "nearest", "bilinear" (trilinear in volumes) or "bicubic" (images only).
        padding: What lies outside: "zeros" (fading in over the last pixel), "border" (the nearest
            edge) or "reflection" (about the edge pixels' centres with `align_corners`, about their
            outer edges without).
        align_corners: See the module.

    Returns:
        The grid's spatial size and the images' channels, in the images' type if that is a float,
        else in float32. A coordinate that is not a number counts as outside.

    Raises:
        ValueError: if shapes do not fit together or a name is unknown.
    """
    spatial = images.shape[1:-1]
    _check(images, grid, method, padding)
    taps_of = _TAPS[method]
    axes = []
    for axis, size in enumerate(spatial):
        pixels = _to_pixels(grid[..., len(spatial) - 1 - axis], size, align_corners)
        axes.append(taps_of(pixels, size, padding, align_corners))
    values = images if jnp.issubdtype(images.dtype, jnp.floating) else images.astype(jnp.float32)
    return _weighted_sum(values, axes)


def _check(images, grid, method, padding):
    dims = images.ndim - 2
    if dims not in (2, 3) or grid.shape[-1] != dims or grid.shape[0] != images.shape[0]:
        raise ValueError(
            f"images {images.shape} and grid {grid.shape} do not fit together: a grid is "
            "[batch, ..., 2] for [batch, height, width, channels] and [batch, ..., 3] for volumes"
        )
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}")
    if method == "bicubic" and dims == 3:
        raise ValueError("method='bicubic' is for images; take 'bilinear' or 'nearest' for volumes")
    if padding not in PADDINGS:
        raise ValueError(f"padding={padding!r}: choose one of {', '.join(PADDINGS)}")


def _to_pixels(coordinates, size: int, align_corners: bool):
    """Normalised coordinates to pixel units, where pixel k has its centre at k."""
    wide = coordinates.astype(jnp.promote_types(coordinates.dtype, jnp.float32))
    if align_corners:
        return (wide + 1.0) * ((size - 1) / 2.0)
    return ((wide + 1.0) * size - 1.0) / 2.0


def _nearest(pixels, size, padding, align_corners):
    pixels = _into_frame(pixels, size, padding, align_corners)
    return [_tap(jnp.round(lax.stop_gradient(pixels)), size, jnp.ones_like(pixels))]


def _linear(pixels, size, padding, align_corners):
    pixels = _into_frame(pixels, size, padding, align_corners)
    lower = jnp.floor(lax.stop_gradient(pixels))
    upper_weight = pixels - lower
    return [_tap(lower, size, 1.0 - upper_weight), _tap(lower + 1, size, upper_weight)]


def _cubic(pixels, size, padding, align_corners):
    """Four taps; the padding acts on each tap and not, as for the others, on the point itself."""
    # Far outside every tap reads the same, so the range can be cut before it overflows integers.
    far = 4.0 * size + 4.0
    pixels = pixels if padding == "reflection" else lax.clamp(-far, pixels, far + size)
    pixels = jnp.where(jnp.isfinite(pixels), pixels, -far)
    lower = jnp.floor(lax.stop_gradient(pixels))
    offset = pixels - lower
    weights = (
        _outer_cubic(offset + 1.0),
        _inner_cubic(offset),
        _inner_cubic(1.0 - offset),
        _outer_cubic(2.0 - offset),
    )
    taps = []
    for step, weight in enumerate(weights):
        position = _into_frame(lower + (step - 1), size, padding, align_corners)
        taps.append(_tap(jnp.round(position), size, weight))
    return taps


def _inner_cubic(distance):
    return ((_CUBIC + 2.0) * distance - (_CUBIC + 3.0)) * distance * distance + 1.0


def _outer_cubic(distance):
    return ((distance - 5.0) * distance + 8.0) * distance * _CUBIC - 4.0 * _CUBIC


_TAPS: dict[str, Callable] = {"nearest": _nearest, "bilinear": _linear, "bicubic": _cubic}


def _into_frame(pixels, size: int, padding: str, align_corners: bool):
    """Moves points to where the padding reads them; what is not a number ends up outside.

    `lax.clamp` has the derivative 0 outside and on the edges, as the padding has.
    """
    if padding == "reflection":
        pixels = _reflect(jnp.where(jnp.isfinite(pixels), pixels, 0.0), size, align_corners)
    outside = -1.0 if padding == "zeros" else 0.0
    pixels = jnp.where(jnp.isnan(pixels), outside, pixels)
    # With zeros, everything a pixel away reads as zero, and so may be brought that near.
    last = size if padding == "zeros" else size - 1
    return lax.clamp(jnp.asarray(outside, pixels.dtype), pixels, jnp.asarray(last, pixels.dtype))


def _reflect(pixels, size: int, align_corners: bool):
    """Folds points into the image, about pixel centres or about outer edges."""
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span == 0.0:
        return jnp.zeros_like(pixels)
    distance = jnp.abs(pixels - low)
    folds = jnp.floor(lax.stop_gradient(distance) / span)
    remainder = distance - folds * span
    return low + jnp.where(folds % 2 == 0, remainder, span - remainder)


def _tap(position, size: int, weight):
    """An index inside the image and its weight, which is zero if the position lies outside."""
    index = position.astype(jnp.int32)
    inside = (index >= 0) & (index < size)
    return jnp.clip(index, 0, size - 1), jnp.where(inside, weight, 0.0)


def _weighted_sum(images, axes):
    """Sums over all combinations of taps of the axes, each read by one gather of whole pixels."""
    batch, *spatial, channels = images.shape
    rows = images.reshape(-1, channels)
    out = axes[0][0][0].shape
    first = jnp.arange(batch, dtype=jnp.int32).reshape(-1, *[1] * (len(out) - 1))
    total = jnp.zeros((*out, channels), images.dtype)
    for taps in itertools.product(*axes):
        index, weight = first, jnp.ones((), jnp.float32)
        for (position, tap_weight), size in zip(taps, spatial, strict=True):
            index, weight = index * size + position, weight * tap_weight
        values = rows.at[index].get(mode="promise_in_bounds")
        total = total + values * weight[..., None].astype(images.dtype)
    return total
