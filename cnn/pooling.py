"""Local pooling of NHWC feature maps."""

import functools

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

POOLINGS = ("none", "max2", "average2")


def pool(
    features: Float[Array, "batch height width channels"], kind: str
) -> Float[Array, "batch out_height out_width channels"]:
    """Halves a feature map by pooling 2x2 windows; an odd last row or column is dropped.

    Args:
        features: NHWC.
        kind: "max2", "average2", or "none" (returns the input as it is).

    Returns:
        NHWC with height // 2 and width // 2, or the input for "none".

    Raises:
        ValueError: if the kind is unknown.
    """
    if kind == "none":
        return features
    if kind not in POOLINGS:
        raise ValueError(f"pooling={kind!r}: choose one of {', '.join(POOLINGS)}")
    if kind == "average2":
        return nnx.avg_pool(features, (2, 2), strides=(2, 2)).astype(features.dtype)
    batch, height, width, channels = features.shape
    high, wide = height // 2, width // 2
    windows = features[:, : 2 * high, : 2 * wide].reshape(batch, high, 2, wide, 2, channels)
    # Split and compared by hand: on CPUs the gradient of XLA's own pooling takes ten times as long.
    top, bottom = lax.split(windows, (1, 1), axis=2)
    corners = [*lax.split(top, (1, 1), axis=4), *lax.split(bottom, (1, 1), axis=4)]
    corners = [corner.reshape(batch, high, wide, channels) for corner in corners]
    return functools.reduce(_larger, corners)


def _larger(first, second):
    """The maximum; of equal values the first gets the whole gradient."""
    return jnp.where((first >= second) | jnp.isnan(first), first, second)
