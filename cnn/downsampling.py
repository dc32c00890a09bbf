"""Ways to halve a feature map, which differ in what they do to a shift by one pixel.

Subsampling breaks shift equivariance (Azulay and Weiss, 2019); blurring before it mends part of
that (Zhang, 2019), choosing the phase by the content all of it, for circular shifts (Chaman and
Dokmanic, 2021); `cnn.polyphase` learns to choose it.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn import validation
from cnn.arrays import as_images

KINDS = ("none", "max2", "max3s2", "avg2", "stride2", "max_blur3", "max_blur5", "blur3", "aps")
UNFILTERED = ("none", "stride2", "aps")
"""The kinds that take pixels of the feature map itself."""
EDGES = ("zeros", "circular")
_BINOMIAL = {3: (1.0, 2.0, 1.0), 5: (1.0, 4.0, 6.0, 4.0, 1.0)}
PAD_MODES = {"zeros": "constant", "circular": "wrap"}
"""What `jnp.pad` calls the edges."""

Features = Num[ArrayLike, "batch height width channels"]


def downsample(
    features: Features, kind: str, *, edges: str = "zeros"
) -> Float[Array, "batch out_height out_width channels"]:
    """Halves a feature map, rounding up.

    Args:
        features: NHWC, not negative if edges are zeros (as behind a ReLU), for a maximum at the
            edge then includes the zeros beyond.
        kind: "max2" or "avg2" (2x2 windows side by side), "max3s2" (overlapping 3x3 windows),
            "stride2" (every other pixel), "max_blur3" or "max_blur5" (the largest of 2x2 at every
            pixel, a binomial filter, every other pixel), "blur3" (the filter alone), "aps" (of the
            four subsampled grids the one with the largest norm, image by image), or "none".
        edges: What lies beyond the edges: "zeros" or, "circular", the other side.

    Returns:
        NHWC with half the height and width, rounded up, or the input for "none".

    Raises:
        ValueError: if a name is unknown or the features have not these four axes.
    """
    features = prefilter(features, kind, edges=edges)
    if kind == "none":
        return features
    if kind == "aps":
        return _largest_phase(polyphase(features, edges=edges))
    return features[:, ::2, ::2]


def prefilter(
    features: Features, kind: str, *, edges: str = "zeros"
) -> Float[Array, "batch height width channels"]:
    """Computes what `downsample` subsamples: the maximum or the filter at every pixel.

    Args:
        features: As for `downsample`.
        kind: Likewise.
        edges: Likewise.

    Returns:
        NHWC of the same size; the input for the kinds in `UNFILTERED`.

    Raises:
        ValueError: if a name is unknown or the features have not these four axes.
    """
    validation.check_values(
        downsampling=(kind, validation.one_of(*KINDS)), edges=(edges, validation.one_of(*EDGES))
    )
    features = as_images(features)
    if kind.startswith("max"):
        # Windows around a pixel: one after it for 2x2, one before and one after for 3x3.
        features = _window_maximum(features, 3 if kind == "max3s2" else 2, edges)
    elif kind == "avg2":
        features = _filter(features, (1.0, 1.0), edges)
    if "blur" in kind:
        features = _filter(features, _BINOMIAL[int(kind[-1])], edges)
    return features


def polyphase(
    features: Features, *, edges: str = "zeros"
) -> Float[Array, "batch 4 out_height out_width channels"]:
    """Splits a feature map into its four subsampled grids.

    Args:
        features: NHWC; an odd last row or column is given a neighbour.
        edges: Where that comes from; see `downsample`.

    Returns:
        The grids that start at pixels (0, 0), (0, 1), (1, 0) and (1, 1), as (row, column).

    Raises:
        ValueError: if the edges are unknown or the features have not these four axes.
    """
    validation.check_values(edges=(edges, validation.one_of(*EDGES)))
    features = as_images(features)
    _, height, width, _ = features.shape
    widths = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    features = jnp.pad(features, widths, mode=PAD_MODES[edges])
    batch, height, width, channels = features.shape
    grid = features.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return grid.transpose(0, 2, 4, 1, 3, 5).reshape(batch, 4, height // 2, width // 2, channels)


def take_phase(
    phases: Float[Array, "batch phases height width channels"], chosen: Int[Array, "batch"]
) -> Float[Array, "batch height width channels"]:
    """Takes one of several phases of each image, by its number."""
    return jnp.take_along_axis(phases, chosen[:, None, None, None, None], axis=1)[:, 0]


def _taps(features, size: int, edges: str, axis: int):
    """The feature map moved by each tap of a window along an axis, centred for odd sizes."""
    length = features.shape[axis]
    before = (size - 1) // 2
    widths = [(0, 0)] * 4
    widths[axis] = (before, size - 1 - before)
    padded = jnp.pad(features, widths, mode=PAD_MODES[edges])
    return [lax.slice_in_dim(padded, tap, tap + length, axis=axis) for tap in range(size)]


def _window_maximum(features, size: int, edges: str):
    for axis in (1, 2):
        features = functools.reduce(jnp.maximum, _taps(features, size, edges, axis))
    return features


def _filter(features, weights: tuple[float, ...], edges: str):
    """A separable filter of unit sum."""
    total = sum(weights)
    for axis in (1, 2):
        taps = _taps(features, len(weights), edges, axis)
        scaled = [weight / total * tap for weight, tap in zip(weights, taps, strict=True)]
        features = functools.reduce(jnp.add, scaled)
    return features


def _largest_phase(phases):
    """Adaptive polyphase sampling with the Euclidean norm; of equal norms the first."""
    return take_phase(phases, jnp.argmax(jnp.sum(phases**2, axis=(2, 3, 4)), axis=1))
