"""Lengths of capsule vectors, and the squash that keeps them below one.

Both are differentiated at the zero vector by every network whose capsules start dead, and there
the textbook formulas divide zero by zero. Here the derivative at zero is zero, without an epsilon
that would shift the values. Nor do the squares of components limit the vectors: where these would
overflow or vanish, the components are scaled by a power of two before (Blue, 1978), elsewhere by 1.
What is not a number stays so.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float, widened


def squash(vectors: Num[ArrayLike, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """Shortens vectors to lengths in [0, 1), 1 by rounding, and keeps their directions.

    v = (|s|^2 / (1 + |s|^2)) * s / |s|: equation 1 of Sabour, Frosst and Hinton (2017).

    Args:
        vectors: Any shape; `axis` runs along the components of a vector. An infinite component
            counts as the largest finite number.
        axis: The axis of the components.

    Returns:
        The shape of the input, and its type; float32 for whole numbers. The arithmetic is float32
        at least, so a bfloat16 input is rounded once, at the end. A vector with a component that is
        not a number has no other components.
    """
    dtype = as_float(vectors).dtype
    wide = widened(vectors)
    largest = jnp.finfo(wide.dtype).max
    wide = lax.clamp(-largest, wide, largest)
    overflown = jnp.isinf(_squared(lax.stop_gradient(wide), axis))
    factor = jnp.where(overflown, 1.0 / _scale(wide.dtype), jnp.ones((), wide.dtype))
    scaled = wide * factor
    squared = _squared(scaled, axis)
    return (scaled * (_safe_sqrt(squared) / (factor * factor + squared))).astype(dtype)


def length(vectors: Num[ArrayLike, "*shape"], axis: int = -1) -> Float[Array, "..."]:
    """Euclidean length of vectors, with the gradient zero (not NaN) at the zero vector.

    Args:
        vectors: Any shape; `axis` runs along the components of a vector.
        axis: The axis of the components; it is removed.

    Returns:
        Lengths of at least zero, in float32 or wider; NaN for a vector with such a component.
    """
    wide = widened(vectors)
    plain = _squared(lax.stop_gradient(wide), axis)
    scale = _scale(wide.dtype)
    up = jnp.where(plain < 1.0 / scale, scale, jnp.ones((), wide.dtype))
    factor = jnp.where(jnp.isinf(plain), 1.0 / scale, up)
    lengths = _safe_sqrt(_squared(wide * factor, axis)) / factor
    return jnp.squeeze(lengths, axis)


def _squared(vectors, axis):
    return jnp.sum(jnp.square(vectors), axis=axis, keepdims=True)


def _scale(dtype):
    """Somewhat more than the root of the largest number: 2^66 in float32."""
    return jnp.asarray(2.0 ** (jnp.finfo(dtype).maxexp // 2 + 2), dtype)


def _safe_sqrt(squared):
    # Two selects: the inner one keeps the infinite derivative of sqrt(0) out of the backward pass.
    zero = squared == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, squared)))
