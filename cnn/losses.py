"""The loss of every plain classifier."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num


def classification_loss(
    logits: Float[Array, "batch classes"], labels: Int[Array, "batch"]
) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
    """Mean softmax cross-entropy of a batch, as a model's `loss` returns it.

    Args:
        logits: Unnormalised log-probabilities.
        labels: In [0, classes).

    Returns:
        The loss in nats, and the batch's accuracy in [0, 1] as a metric.
    """
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
    return -jnp.mean(chosen), {"accuracy": jnp.mean(jnp.argmax(logits, axis=-1) == labels)}
