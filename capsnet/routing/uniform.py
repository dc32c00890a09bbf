"""No routing: the mean of all votes, squashed.

What is left of a capsule layer without routing, and the control of every study of routing; Gu and
Tresp, "Improving the robustness of capsule networks to image affine transformations" (2020).
"""

import dataclasses

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Num

from capsnet.routing.base import Capsules, Routed, Routing
from capsnet.vectors import squash
from cnn.arrays import check_axes, widened


@dataclasses.dataclass(frozen=True)
class UniformRouting(Routing):
    """Mean of the votes over the input capsules, squashed: every coupling is 1 / in."""

    averages = True

    def __call__(
        self, votes: Num[ArrayLike, "batch in out dim"], capsules: Capsules | None = None
    ) -> Routed:
        """Averages votes; the input capsules do not matter."""
        del capsules
        votes = widened(votes)
        check_axes("votes", votes, "batch in out dim")
        couplings = jnp.full(votes.shape[:3], 1.0 / votes.shape[1], votes.dtype)
        # A product, since a mean over the second axis takes CPUs twice as long.
        return Routed(squash(jnp.einsum("bijd,bij->bjd", votes, couplings)), couplings)
