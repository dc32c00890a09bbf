"""Self-attention routing: couplings by the agreement of votes with each other, in one pass.

Mazzia, Salvetti and Chiaberge, "Efficient-CapsNet: capsule network with self-attention routing"
(2021); axes as in `capsnet.routing.base`.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Num

from capsnet.routing.base import Capsules, Routed, Routing, Sizes
from capsnet.vectors import exponential_squash
from cnn import validation
from cnn.arrays import alike, check_axes


@dataclasses.dataclass(frozen=True)
class SelfAttentionRouting(Routing):
    """Self-attention routing of Mazzia, Salvetti and Chiaberge (2021), with weights of its own.

    Attributes:
        bias: Whether every pair of input and output capsule has a learned bias on its coupling.
    """

    bias: bool = True

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""
        validation.check(self, bias=validation.flag)

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> "SelfAttention":
        """Makes the module that routes; its bias starts at zero, so nothing is drawn."""
        del rngs
        return SelfAttention(sizes, use_bias=self.bias)


class SelfAttention(nnx.Module):
    """Self-attention routing with its learned bias.

    Args:
        sizes: Of the layers that it is between.
        use_bias: Whether there is the bias `[in, out]`.
    """

    def __init__(self, sizes: Sizes, *, use_bias: bool = True):
        shape = (sizes.in_capsules, sizes.out_capsules)
        self.bias = nnx.Param(jnp.zeros(shape, jnp.float32)) if use_bias else None

    def __call__(
        self, votes: Num[ArrayLike, "batch in out dim"], capsules: Capsules | None = None
    ) -> Routed:
        """Routes votes by `self_attention_routing`; the input capsules do not matter."""
        del capsules
        return self_attention_routing(votes, None if self.bias is None else self.bias[...])


def self_attention_routing(
    votes: Num[ArrayLike, "batch in out dim"],
    bias: Num[ArrayLike, "..."] | None = None,
) -> Routed:
    """Routes votes by their agreement with all votes for the same output capsule.

    With votes u_ij of d components: a_ij = sum_k <u_ij, u_kj> / sqrt(d), c_ij = softmax over j of
    a_ij, s_j = sum_i (c_ij + b_ij) u_ij, v_j = (1 - exp(-|s_j|)) s_j / |s_j|. The sum over k is
    taken first, a_ij = <u_ij, sum_k u_kj> / sqrt(d), so that the cost is in proportion to the input
    capsules and not to their square.

    Args:
        votes: Predictions of every input capsule for every output capsule.
        bias: b of the equation, `[in, out]`; None for none.

    Returns:
        Poses, and as couplings the shares c, to which the bias is not added; in float32 or wider.

    Raises:
        ValueError: if the shapes do not fit.
    """
    votes, *biases = alike(votes, *([] if bias is None else [bias]))
    check_axes("votes", votes, "batch in out dim")
    for given in biases:
        if given.shape != votes.shape[1:3]:
            raise ValueError(
                f"bias of shape {given.shape}: must be [in, out] = {votes.shape[1:3]}, as votes "
                "have it"
            )
    # Input capsules last, as in dynamic routing: sums then run along neighbours in memory.
    votes = jnp.transpose(votes, (0, 2, 3, 1))
    total = jnp.sum(votes, axis=3)
    agreement = jnp.einsum("bjdi,bjd->bji", votes, total) / math.sqrt(votes.shape[2])
    couplings = jax.nn.softmax(agreement, axis=1)
    weights = sum((given.T for given in biases), start=couplings)
    poses = exponential_squash(jnp.einsum("bjdi,bji->bjd", votes, weights))
    return Routed(poses, jnp.swapaxes(couplings, 1, 2))
