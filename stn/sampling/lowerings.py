"""Ways to sum the taps of all points: the same function, lowered differently.

Each takes images and the taps of every spatial axis (see `stn.sampling.taps`). They differ in what
they ask of the machine: single reads, one wide read, or matrix products.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from stn.sampling.taps import Taps

# Up to so many channels `packed` sums them one by one.
FEW_CHANNELS = 4

Images = Float[Array, "batch *spatial channels"]
Values = Float[Array, "batch *out channels"]


def gather(images: Images, axes: Sequence[Taps]) -> Values:
    """Reads every tap by itself; XLA fuses all reads of a forward pass into one loop."""
    _, *spatial, channels = images.shape
    rows = images.reshape(_count(images), channels)

    def read(taps):
        positions = [
            jnp.clip(axis[tap][0], 0, size - 1)
            for axis, tap, size in zip(axes, taps, spatial, strict=True)
        ]
        return _rows_at(rows, spatial, positions)

    # Masks and not a ring of zeros: the gradient of 16-channel images takes half the time.
    masked = [_masked(taps, size) for taps, size in zip(axes, spatial, strict=True)]
    return _weighted_sum(masked, read)


def packed(images: Images, axes: Sequence[Taps]) -> Values:
    """Lays all neighbours of a pixel side by side once, so that one read has all taps of a point.

    Only for bilinear taps, which are neighbours: two along every axis.
    """
    _, *spatial, channels = images.shape
    corners: list[tuple[int, ...]] = list(itertools.product((0, 1), repeat=len(spatial)))
    # A ring of zeros is what every tap outside of the image reads.
    ringed = jnp.pad(images, ((0, 0), *[(1, 1)] * len(spatial), (0, 0)))
    sizes = [size + 1 for size in spatial]
    shifted = [
        lax.dynamic_slice(ringed, (0, *corner, 0), (images.shape[0], *sizes, channels))
        for corner in corners
    ]
    together = jnp.concatenate(shifted, axis=-1)
    rows = together.reshape(_count(together), len(corners) * channels)
    neighbours = _rows_at(rows, sizes, [taps[0][0] + 1 for taps in axes])
    parts = jnp.split(neighbours, len(corners), axis=-1)
    if channels > FEW_CHANNELS:
        return _weighted_sum(axes, lambda taps: parts[corners.index(taps)])
    # One sum for each channel, for XLA's reductions over so short an axis, which the gradient of
    # the weights would need, take longer than all the reads.
    single = [
        _weighted_sum(axes, lambda taps, c=channel: parts[corners.index(taps)][..., c : c + 1])
        for channel in range(channels)
    ]
    return jnp.concatenate(single, axis=-1)


# Dense weights are quickly computed again, and would be saved by programs of every backend that
# runs the backward pass apart; see `cnn.backends`. Within one program XLA merges the two.
@functools.partial(jax.checkpoint, prevent_cse=False)
def matmul(images: Images, axes: Sequence[Taps]) -> Values:
    """Multiplies by dense weights, one axis after the other: equation 5 as it is printed.

    There is no scatter in the backward pass. A pixel that is not finite spoils its whole image.
    """
    batch, *spatial, channels = images.shape
    out = axes[0][0][0].shape
    points = math.prod(out[1:])
    weights = [
        _dense(taps, size).reshape(batch, points, size).astype(images.dtype)
        for taps, size in zip(axes, spatial, strict=True)
    ]
    rows = images.reshape(batch, spatial[0], math.prod(images.shape[2:]))
    # The highest precision, for on GPUs and TPUs the default would round the pixels.
    values = jnp.einsum("bps,bsr->bpr", weights[0], rows, precision=lax.Precision.HIGHEST)
    for weight, size in zip(weights[1:], spatial[1:], strict=True):
        values = values.reshape(batch, points, size, values.shape[-1] // size)
        values = jnp.einsum("bps,bpsr->bpr", weight, values, precision=lax.Precision.HIGHEST)
    return values.reshape(*out, channels)


def _dense(taps: Taps, size: int):
    """The weight of every pixel of an axis for every point; most are zero."""
    pixels = jnp.arange(size, dtype=jnp.int32)
    dense = [
        jnp.where(position[..., None] == pixels, weight[..., None], 0.0)
        for position, weight in taps
    ]
    return functools.reduce(jnp.add, dense)


def _masked(taps: Taps, size: int) -> Taps:
    """The taps with zero weights where they lie outside of the image."""
    return [
        (position, jnp.where((position >= 0) & (position < size), weight, 0.0))
        for position, weight in taps
    ]


def _count(images):
    """Pixels of all images together, also where there is none or their number is symbolic."""
    return math.prod(images.shape[:-1])


def _rows_at(rows, sizes, positions):
    """Rows of `[batch * product of sizes, values]` at a position along every axis."""
    points = positions[0]
    images = jnp.arange(points.shape[0], dtype=jnp.int32)
    index = images.reshape(images.shape[0], *[1] * (points.ndim - 1))
    for position, size in zip(positions, sizes, strict=True):
        index = index * size + position
    return rows.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _weighted_sum(axes: Sequence[Taps], read: Callable[[tuple[int, ...]], jax.Array]):
    """Sums what `read` has for each combination of the axes' taps, given by their numbers."""

    def term(taps):
        values = read(taps)
        weights = [axis[tap][1] for axis, tap in zip(axes, taps, strict=True)]
        return values * functools.reduce(jnp.multiply, weights)[..., None].astype(values.dtype)

    combinations = itertools.product(*(range(len(axis)) for axis in axes))
    return functools.reduce(jnp.add, map(term, combinations))
