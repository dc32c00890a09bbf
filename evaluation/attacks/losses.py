"""Losses that attacks raise, one number for each image.

All are of logits `[batch, classes]` and the true classes `[batch]`. Where a loss is positive the
image is misclassified, but for the cross-entropy. The difference-of-logits ratios are those of
Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks" (2020): they do not change if all logits are multiplied or shifted, so that
gradients do not vanish where a model is sure of itself.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Logits = Float[Array, "batch classes"]
Classes = Int[Array, "batch"]
Losses = Float[Array, "batch"]

MIN_CLASSES = 3
"""That the difference-of-logits ratio needs."""
MIN_TARGETED_CLASSES = 4
"""That the targeted ratio needs."""
# Keeps ratios of equal logits finite: their numerators are zero.
_EPS = 1e-12


def cross_entropy(logits: Logits, labels: Classes) -> Losses:
    """Computes the cross-entropy of the true class."""
    return -_of(jax.nn.log_softmax(logits), labels)


def margin(logits: Logits, labels: Classes) -> Losses:
    """Subtracts the logit of the true class from the largest of another one."""
    true = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    return jnp.max(jnp.where(true, -jnp.inf, logits), axis=-1) - _of(logits, labels)


def logits_ratio(logits: Logits, labels: Classes) -> Losses:
    """Computes the difference-of-logits ratio: equation 6 of Croce and Hein (2020).

    DLR = -(z_y - max_{i != y} z_i) / (z_1 - z_3), where z_1 >= z_2 >= ... are the sorted logits.

    Args:
        logits: Of at least `MIN_CLASSES` classes.
        labels: The true classes.
    """
    largest = jax.lax.top_k(logits, MIN_CLASSES)[0]
    return margin(logits, labels) / jnp.maximum(largest[:, 0] - largest[:, 2], _EPS)


def targeted_ratio(logits: Logits, labels: Classes, targets: Classes) -> Losses:
    """Computes the targeted difference-of-logits ratio: equation 7 of Croce and Hein (2020).

    -(z_y - z_t) / (z_1 - (z_3 + z_4) / 2), where z_1 >= z_2 >= ... are the sorted logits.

    Args:
        logits: Of at least `MIN_TARGETED_CLASSES` classes.
        labels: The true classes y.
        targets: Other classes t.
    """
    largest = jax.lax.top_k(logits, MIN_TARGETED_CLASSES)[0]
    spread = largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2.0
    return (_of(logits, targets) - _of(logits, labels)) / jnp.maximum(spread, _EPS)


def ranked_targets(logits: Logits, labels: Classes, rank: Int[Array, ""]) -> Classes:
    """Finds the class of a rank among those that are not true, 1 being the highest-scoring one."""
    true = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    order = jnp.argsort(-jnp.where(true, -jnp.inf, logits), axis=-1)
    return jnp.take(order, rank - 1, axis=-1)


def _of(values, classes):
    """Takes the values of a class each, `[batch]`."""
    return jnp.take_along_axis(values, classes[:, None], axis=-1)[:, 0]
