"""Pixels that a sampling method reads along one axis, and their weights.

A tap is a position and a weight for every point of the grid. Positions are whole pixels from -1 to
the axis' size; these two ends stand for everything outside of the image and read as zero, so no
weight needs a mask. Weights carry the derivative with respect to the coordinates; it is taken
one-sided where equation 7 of Jaderberg et al. (2015), as printed, loses one neighbour.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from cnn.arrays import wide_type

Taps = list[tuple[Int[Array, "batch *out"], Float[Array, "batch *out"]]]

METHODS = ("nearest", "bilinear", "bicubic")
PADDINGS = ("zeros", "border", "reflection")
# The free parameter of the cubic convolution kernel (Keys, 1981), as PyTorch sets it.
_CUBIC = -0.75


def axis_taps(
    coordinates: Float[Array, "batch *out"],
    size: int,
    *,
    method: str,
    padding: str,
    align_corners: bool,
) -> Taps:
    """The taps of every point along one axis.

    Args:
        coordinates: Normalised, of this axis only.
        size: Pixels along the axis.
        method: One of `METHODS`: one tap, two or four.
        padding: One of `PADDINGS`.
        align_corners: See `stn.sampling`.

    Returns:
        (position, weight) for each tap, in the order of the pixels where the padding does not fold
        them; bilinear positions are always neighbours.
    """
    pixels = _to_pixels(coordinates, size, align_corners)
    return _TAPS[method](pixels, size, padding, align_corners)


def _to_pixels(coordinates, size: int, align_corners: bool):
    """Converts normalised coordinates to pixel units, where pixel k has its centre at k."""
    wide = coordinates.astype(wide_type(coordinates.dtype))
    if align_corners:
        return (wide + 1.0) * ((size - 1) / 2.0)
    return ((wide + 1.0) * size - 1.0) / 2.0


def _nearest(pixels, size, padding, align_corners):
    pixels = _into_frame(pixels, size, padding, align_corners)
    return [(_whole(jnp.round(lax.stop_gradient(pixels))), jnp.ones_like(pixels))]


def _linear(pixels, size, padding, align_corners):
    pixels = _into_frame(pixels, size, padding, align_corners)
    # The upper neighbour is at most the ring of zeros, where a point may lie with all its weight.
    lower = jnp.minimum(jnp.floor(lax.stop_gradient(pixels)), size - 1)
    upper_weight = pixels - lower
    return [(_whole(lower), 1.0 - upper_weight), (_whole(lower) + 1, upper_weight)]


def _cubic(pixels, size, padding, align_corners):
    """Four taps; the padding acts on each tap and not, as for the others, on the point itself."""
    # Far outside every tap reads the same, so the range can be cut before it overflows integers.
    far = 4.0 * size + 4.0
    low, high = (jnp.asarray(end, pixels.dtype) for end in (-far, far + size))
    pixels = pixels if padding == "reflection" else lax.clamp(low, pixels, high)
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
        taps.append((_whole(jnp.round(position)), weight))
    return taps


def _inner_cubic(distance):
    return ((_CUBIC + 2.0) * distance - (_CUBIC + 3.0)) * distance * distance + 1.0


def _outer_cubic(distance):
    return ((distance - 5.0) * distance + 8.0) * distance * _CUBIC - 4.0 * _CUBIC


_TAPS: dict[str, Callable] = {"nearest": _nearest, "bilinear": _linear, "bicubic": _cubic}


def _whole(position):
    return position.astype(jnp.int32)


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
