"""Lengths of capsule vectors, and the squash that keeps them below one.

Both are differentiated at the zero vector by every network whose capsules start dead, and there
the textbook formulas divide zero by zero. Here the derivative at zero is zero, without an epsilon
that would shift the values.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def squash(vectors: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """Shortens vectors to lengths in [0, 1) and keeps their directions.

    v = (|s|^2 / (1 + |s|^2)) * s / |s|: equation 1 of Sabour, Frosst and Hinton (2017).

    Args:
        vectors: Any shape; `axis` runs along the components of a vector.
        axis: The axis of the components.

    Returns:
        The shape and type of the input. The arithmetic is float32 at least, so a bfloat16 input
        is rounded once, at the end.
    """
    wide = vectors.astype(jnp.promote_types(vectors.dtype, jnp.float32))
    squared = jnp.sum(jnp.square(wide), axis=axis, keepdims=True)
    return (wide * (_safe_sqrt(squared) / (1.0 + squared))).astype(vectors.dtype)


def length(vectors: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "..."]:
    """Euclidean length of vectors, with the gradient zero (not NaN) at the zero vector.

    Args:
        vectors: Any shape; `axis` runs along the components of a vector.
        axis: The axis of the components; it is removed.

    Returns:
        Lengths of at least zero, in float32 or wider.
    """
    wide = vectors.astype(jnp.promote_types(vectors.dtype, jnp.float32))
    return _safe_sqrt(jnp.sum(jnp.square(wide), axis=axis))


def _safe_sqrt(squared):
    # Two selects: the inner one keeps the infinite derivative of sqrt(0) out of the backward pass.
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
