"""Losses of capsule networks, per image."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def margin_loss(
    lengths: Float[Array, "batch classes"],
    one_hot: Float[Array, "batch classes"],
    *,
    positive: float = 0.9,
    negative: float = 0.1,
    down_weight: float = 0.5,
) -> Float[Array, "batch"]:
    """Margin loss on class-capsule lengths: equation 4 of Sabour, Frosst and Hinton (2017).

    sum_k T_k max(0, m+ - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m-)^2.

    Args:
        lengths: Lengths of the class capsules, usually in [0, 1).
        one_hot: 1 for each class that is present (several may be), 0 for the others.
        positive: m+, the length above which a present class costs nothing.
        negative: m-, the length below which an absent class costs nothing.
        down_weight: lambda, the weight of absent classes.

    Returns:
        One loss per image, summed over the classes.
    """
    present = one_hot * jnp.square(jnp.maximum(0.0, positive - lengths))
    absent = (1.0 - one_hot) * jnp.square(jnp.maximum(0.0, lengths - negative))
    return jnp.sum(present + down_weight * absent, axis=-1)


def reconstruction_loss(
    reconstructions: Float[Array, "batch height width channels"],
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch"]:
    """Sum of squared pixel differences: section 4.1 of Sabour, Frosst and Hinton (2017).

    A sum, not a mean: with 784 pixels, 0.0005 times this is 0.392 times the mean squared error.

    Args:
        reconstructions: Decoded images in [0, 1].
        images: Their targets in [0, 1].

    Returns:
        One loss per image.
    """
    return jnp.sum(jnp.square(reconstructions - images), axis=(1, 2, 3))
