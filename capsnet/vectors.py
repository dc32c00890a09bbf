"""Lengths of capsule vectors, and the squashes that keep them below one.

All are differentiated at the zero vector by every network whose capsules start dead, and there
the textbook formulas divide zero by zero. Here the derivative at zero is the limit of that of a
squash, and zero for a length, without an epsilon that would shift the values. Nor do the squares of
components limit the vectors: where these would overflow or vanish, the components are scaled by a
power of two before (Blue, 1978), elsewhere by 1. What is not a number stays so.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float, widened

# Lengths below which the series' next term is less than any digit that float64 has left here.
_SHORT = 1e-3


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
    scaled, factor = _scaled_down(vectors, axis)
    squared = _squared(scaled, axis)
    squashed = scaled * (_safe_sqrt(squared) / (factor * factor + squared))
    return squashed.astype(as_float(vectors).dtype)


def exponential_squash(vectors: Num[ArrayLike, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """Shortens vectors to lengths in [0, 1), 1 by rounding, and hardly changes short ones.

    v = (1 - exp(-|s|)) * s / |s|: Mazzia, Salvetti and Chiaberge, "Efficient-CapsNet: capsule
    network with self-attention routing" (2021). Its derivative at zero is the identity, where that
    of `squash` is zero.

    Args:
        vectors: As of `squash`.
        axis: The axis of the components.

    Returns:
        As `squash`.
    """
    scaled, factor = _scaled_down(vectors, axis)
    norm = _safe_sqrt(_squared(scaled, axis))
    # Below the threshold, where differences cancel, the series has all digits. Its select comes
    # twice, to keep the derivative of the quotient by zero out of the backward pass.
    short = norm < _SHORT
    series = 1.0 - norm * (1.0 / 2.0 - norm * (1.0 / 6.0 - norm / 24.0))
    norm = jnp.where(short, 1.0, norm)
    ratio = jnp.where(short, series, -jnp.expm1(-norm / factor) / norm)
    return (scaled * ratio).astype(as_float(vectors).dtype)


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


def _scaled_down(vectors, axis):
    """Finite vectors times a power of two, which is 1 unless their squares would overflow."""
    wide = widened(vectors)
    largest = jnp.finfo(wide.dtype).max
    wide = lax.clamp(-largest, wide, largest)
    overflown = jnp.isinf(_squared(lax.stop_gradient(wide), axis))
    factor = jnp.where(overflown, 1.0 / _scale(wide.dtype), jnp.ones((), wide.dtype))
    return wide * factor, factor


def _squared(vectors, axis):
    return jnp.sum(jnp.square(vectors), axis=axis, keepdims=True)


def _scale(dtype):
    """Somewhat more than the root of the largest number: 2^66 in float32."""
    return jnp.asarray(2.0 ** (jnp.finfo(dtype).maxexp // 2 + 2), dtype)


def _safe_sqrt(squared):
    # Two selects: the inner one keeps the infinite derivative of sqrt(0) out of the backward pass.
    zero = squared == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, squared)))
