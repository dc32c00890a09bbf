"""Losses of capsule networks, per image."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import alike, as_float, check_axes, check_same_shape


def margin_loss(
    lengths: Num[ArrayLike, "batch classes"],
    one_hot: Num[ArrayLike, "..."],
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

    Raises:
        ValueError: if the two have not one shape; labels must be made one-hot before.
    """
    lengths, one_hot = alike(lengths, one_hot)
    check_axes("lengths", lengths, "batch classes")
    check_same_shape(one_hot=one_hot, lengths=lengths)
    present = one_hot * jnp.square(jnp.maximum(0.0, positive - lengths))
    absent = (1.0 - one_hot) * jnp.square(jnp.maximum(0.0, lengths - negative))
    return jnp.sum(present + down_weight * absent, axis=-1)


def spread_loss(
    activations: Num[ArrayLike, "batch classes"],
    one_hot: Num[ArrayLike, "..."],
    *,
    margin: Num[ArrayLike, ""],
) -> Float[Array, "batch"]:
    """Spread loss on class-capsule activations: Hinton, Sabour and Frosst (2018), section 4.

    sum_(i != t) max(0, m - (a_t - a_i))^2, of the true class t.

    Args:
        activations: Of the class capsules, usually in [0, 1].
        one_hot: 1 for the true class, of which there is one, 0 for the others.
        margin: m, by how much the true class has to be more active than another to cost nothing.

    Returns:
        One loss per image, summed over the classes.

    Raises:
        ValueError: if the two have not one shape; labels must be made one-hot before.
    """
    activations, one_hot = alike(activations, one_hot)
    check_axes("activations", activations, "batch classes")
    check_same_shape(one_hot=one_hot, activations=activations)
    true = jnp.sum(one_hot * activations, axis=-1, keepdims=True)
    lacking = jnp.maximum(0.0, as_float(margin).astype(true.dtype) - (true - activations))
    return jnp.sum((1.0 - one_hot) * jnp.square(lacking), axis=-1)


def spread_margin(step: Num[ArrayLike, ""], period: int = 50_000) -> Float[Array, ""]:
    """The margin of `spread_loss` at a training step, from about 0.2 to 0.99.

    0.2 + 0.79 sigmoid(min(10, step / period - 4)): the authors' released code; the paper raises it
    linearly from 0.2 to 0.9.

    Args:
        step: Steps done.
        period: Steps in which the sigmoid's argument grows by 1; half-way up after four of them.
    """
    progress = as_float(step) / period
    return 0.2 + 0.79 * jax.nn.sigmoid(jnp.minimum(10.0, progress - 4.0))


def reconstruction_loss(
    reconstructions: Num[ArrayLike, "batch height width channels"],
    images: Num[ArrayLike, "..."],
) -> Float[Array, "batch"]:
    """Sum of squared pixel differences: section 4.1 of Sabour, Frosst and Hinton (2017).

    A sum, not a mean: with 784 pixels, 0.0005 times this is 0.392 times the mean squared error.

    Args:
        reconstructions: Decoded images in [0, 1].
        images: Their targets in [0, 1].

    Returns:
        One loss per image.

    Raises:
        ValueError: if the two have not one shape.
    """
    reconstructions, images = alike(reconstructions, images)
    check_axes("reconstructions", reconstructions, "batch height width channels")
    check_same_shape(reconstructions=reconstructions, images=images)
    return jnp.sum(jnp.square(reconstructions - images), axis=(1, 2, 3))
