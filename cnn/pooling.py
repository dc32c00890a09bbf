"""Local pooling of NHWC feature maps."""

import jax.numpy as jnp
from flax import nnx
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
    if kind == "max2":
        return nnx.max_pool(features, (2, 2), strides=(2, 2))
    if kind == "average2":
        return nnx.avg_pool(features, (2, 2), strides=(2, 2)).astype(jnp.result_type(features))
    raise ValueError(f"pooling={kind!r}: choose one of {', '.join(POOLINGS)}")
