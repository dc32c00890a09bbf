"""Assignments of input capsules to the output capsules that compete for them, of all places."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Softmax = Callable[[Float[Array, "batch in out"]], Float[Array, "batch in out"]]
"""Logits to shares that add up to one over all that compete for an input capsule."""


def softmax_over_out(
    logits: Float[Array, "batch in out"],
) -> Float[Array, "batch in out"]:
    """Shares where no other output capsules than those of one place compete."""
    return jax.nn.softmax(logits, axis=2)


def equal_shares(
    votes: Float[Array, "batch in out dim"], softmax: Softmax
) -> Float[Array, "batch in out"]:
    """The assignments that EM starts with: one over the number of competing output capsules.

    Args:
        votes: Of which only the shape matters.
        softmax: Over the output capsules that compete.
    """
    batch, inputs, out, _ = votes.shape
    if softmax is softmax_over_out:
        return jnp.full((batch, inputs, out), 1.0 / out, votes.dtype)
    # All types of a place have equal shares, so that one stands for them. The barrier keeps XLA
    # from computing the softmax of constants when it compiles, which takes seconds.
    one_type = lax.optimization_barrier(jnp.zeros((batch, inputs, 1), votes.dtype))
    return jnp.broadcast_to(softmax(one_type) / out, (batch, inputs, out))
