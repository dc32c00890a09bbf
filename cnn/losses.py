"""The loss of every plain classifier, and the accuracy of every classifier."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn.arrays import as_float, as_labels, check_axes


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


def accuracy(
    logits: Num[ArrayLike, "batch classes"], labels: Int[ArrayLike, "..."]
) -> Float[Array, ""]:
    """Share of images whose largest logit is that of their label; NaN if any logit is.

    Args:
        logits: One row an image.
        labels: `[batch]`, in [0, classes).

    Raises:
        ValueError: if there is not one label for each image.
        TypeError: if the labels are not integers.
    """
    logits = as_float(logits)
    check_axes("logits", logits, "batch classes")
    right = jnp.argmax(logits, axis=-1) == as_labels(labels, logits.shape[0])
    # Else the first NaN of a row would pass for its largest logit.
    return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, jnp.mean(right))
