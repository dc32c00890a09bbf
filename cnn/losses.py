"""The losses of plain classifiers, and the accuracy of every classifier."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn.arrays import as_float, as_label_sets, as_labels, check_axes


def classification_loss(
    logits: Num[ArrayLike, "batch classes"], labels: Int[ArrayLike, "..."]
) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
    """Mean softmax cross-entropy of a batch, as a model's `loss` returns it.

    Args:
        logits: Unnormalised log-probabilities.
        labels: `[batch]`, in [0, classes).

    Returns:
        The loss in nats, and the batch's accuracy in [0, 1] as a metric; both are NaN if a logit
        is, or if there is no image.

    Raises:
        ValueError: if there is not one label for each image.
        TypeError: if the labels are not integers.
    """
    logits = as_float(logits)
    check_axes("logits", logits, "batch classes")
    labels = as_labels(labels, logits.shape[0])
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
    return -jnp.mean(chosen), {"accuracy": accuracy(logits, labels)}


def multi_label_loss(
    logits: Num[ArrayLike, "batch classes"], labels: Int[ArrayLike, "..."]
) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
    """Sigmoid cross-entropy of images that may show several classes, as `loss` returns it.

    -sum_k T_k log sigmoid(x_k) + (1 - T_k) log sigmoid(-x_k), T_k being 1 for the classes that an
    image shows; the mean over images.

    Args:
        logits: Log-odds of each class by itself.
        labels: `[batch, objects]`, the different classes of each image, or `[batch]`.

    Returns:
        The loss in nats, and the batch's accuracy in [0, 1] as a metric; both are NaN if a logit
        is, or if there is no image.

    Raises:
        ValueError: if there is not one row of labels for each image.
        TypeError: if the labels are not integers.
    """
    logits = as_float(logits)
    check_axes("logits", logits, "batch classes")
    present = multi_hot(labels, logits).astype(logits.dtype)
    terms = present * jax.nn.log_sigmoid(logits) + (1.0 - present) * jax.nn.log_sigmoid(-logits)
    return -jnp.mean(jnp.sum(terms, axis=-1)), {"accuracy": accuracy(logits, labels)}


def multi_hot(
    labels: Int[ArrayLike, "..."], scores: Float[Array, "batch classes"]
) -> Float[Array, "batch classes"]:
    """One for every class that an image shows and zero for the others.

    Args:
        labels: `[batch]` or `[batch, objects]`, those of an image of different classes.
        scores: Of the images; decide the number of classes and the type.

    Raises:
        ValueError: if there is not one row of labels for each image.
        TypeError: if the labels are not integers.
    """
    sets = as_label_sets(labels, scores.shape[0])
    return jnp.sum(jax.nn.one_hot(sets, scores.shape[1], dtype=scores.dtype), axis=1)


def accuracy(
    logits: Num[ArrayLike, "batch classes"], labels: Int[ArrayLike, "..."]
) -> Float[Array, ""]:
    """Share of images whose largest logits are those of their labels; NaN if any logit is.

    Args:
        logits: One row an image.
        labels: `[batch]`, in [0, classes); or `[batch, objects]`, the different classes of each
            image, which then all have to be among as many largest logits.

    Raises:
        ValueError: if there is not one label, or row of them, for each image.
        TypeError: if the labels are not integers.
    """
    logits = as_float(logits)
    check_axes("logits", logits, "batch classes")
    sets = as_label_sets(labels, logits.shape[0])
    right = jnp.all(jnp.any(_largest(logits, sets.shape[1]) == sets[:, None], axis=2), axis=1)
    # Else the first NaN of a row would pass for its largest logit.
    return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, jnp.mean(right))


def _largest(logits, count):
    """Classes of the largest logits, `[batch, count, 1]`; of equal ones the first."""
    if count == 1:
        return jnp.argmax(logits, axis=-1)[:, None, None]
    return jax.lax.top_k(logits, count)[1][..., None]
