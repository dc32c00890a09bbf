"""Local pooling of NHWC feature maps."""

import functools
import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images

POOLINGS = ("none", "max2", "average2")


def check_one_for_each(pooling: Sequence[str], channels: Sequence[int]) -> None:
    """Raises a `ValueError` unless there is one pooling for each convolution.

    Args:
        pooling: Names of poolings.
        channels: Of the convolutions.
    """
    if len(pooling) != len(channels):
        raise ValueError(
            f"pooling={pooling!r} must name one pooling for each of the {len(channels)} "
            "convolutions"
        )


def pool(
    features: Num[ArrayLike, "batch height width channels"], kind: str
) -> Float[Array, "batch out_height out_width channels"]:
    """Halves a feature map by pooling 2x2 windows; an odd last row or column is dropped.

    Args:
        features: NHWC.
        kind: "max2", "average2", or "none" (returns the input as it is).

    Returns:
        NHWC with height // 2 and width // 2, or the input for "none".

    Raises:
        ValueError: if the kind is unknown or the features have not these four axes.
    """
    validation.check_values(pooling=(kind, validation.one_of(*POOLINGS)))
    features = as_images(features)
    if kind == "none":
        return features
    if kind == "average2":
        return average_pool(features, (2, 2))
    batch, height, width, channels = features.shape
    high, wide = height // 2, width // 2
    windows = features[:, : 2 * high, : 2 * wide].reshape(batch, high, 2, wide, 2, channels)
    # Split and compared by hand: on CPUs the gradient of XLA's own pooling takes ten times as long.
    top, bottom = lax.split(windows, (1, 1), axis=2)
    corners = [*lax.split(top, (1, 1), axis=4), *lax.split(bottom, (1, 1), axis=4)]
    corners = [corner.reshape(batch, high, wide, channels) for corner in corners]
    return functools.reduce(_larger, corners)


def average_pool(
    features: Float[Array, "batch *spatial channels"], window: tuple[int, ...]
) -> Float[Array, "batch *out channels"]:
    """Means of windows side by side; what does not fill one at the end of an axis is dropped.

    Args:
        features: With any number of spatial axes.
        window: Size along each of them.
    """
    sizes = (1, *window, 1)
    total = lax.reduce_window(features, 0.0, lax.add, sizes, sizes, "VALID")
    return total / float(math.prod(window))


def _larger(first, second):
    """The maximum; of equal values the first gets the whole gradient."""
    return jnp.where((first >= second) | jnp.isnan(first), first, second)
