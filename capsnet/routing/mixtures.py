"""Routing by mixtures: output capsules are densities of votes, found by turns with assignments.

Axes as in `capsnet.routing.base`.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.routing.base import Capsules, Routed
from capsnet.routing.competition import Softmax, equal_shares, softmax_over_out
from cnn.arrays import alike, check_axes


class Mixture(nnx.Module):
    """Densities and assignments by turns; subclasses say how each follows from the other.

    Attributes:
        iterations: Fits of the densities, at least 1; with 1 the assignments are equal shares.
    """

    iterations: int

    def __call__(
        self,
        votes: Num[ArrayLike, "batch in out dim"],
        capsules: Capsules,
        *,
        softmax: Softmax | None = None,
    ) -> Routed:
        """Routes votes; gradients flow through all iterations.

        Args:
            votes: Predictions of every input capsule for every output capsule.
            capsules: The input capsules, of which only the activations matter.
            softmax: Over all output capsules that compete for an input capsule; None is that over
                `out`.

        Returns:
            The densities' means as poses, the assignments that the last of them were fitted with,
            and activations, in float32 or wider.
        """
        votes, activations = alike(votes, capsules.activations)
        check_axes("votes", votes, "batch in out dim")
        softmax = softmax or softmax_over_out
        # Output capsules first: sums over votes are products of matrices as they lie.
        assignments, votes = equal_shares(votes, softmax), jnp.swapaxes(votes, 1, 2)
        equal_data, densities = jnp.sum(assignments, axis=1), None
        for iteration in range(1, self.iterations + 1):
            if densities is not None:
                assignments = softmax(jnp.swapaxes(self._evidence(votes, densities), 1, 2))
            weights = jnp.swapaxes(assignments * activations[..., None], 1, 2)
            densities = self._fit(votes, weights, equal_data, iteration)
        return self._routed(densities, assignments)

    def _fit(
        self,
        votes: Float[Array, "batch out in dim"],
        weights: Float[Array, "batch out in"],
        equal_data: Float[Array, "batch out"],
        iteration: int,
    ) -> Any:
        """Fits the densities.

        Args:
            votes: The data, other for each output capsule.
            weights: How much each vote counts: its assignment by the activation of its capsule.
            equal_data: What each output capsule gets where all get equal shares.
            iteration: Counted from 1.
        """
        raise NotImplementedError

    def _evidence(
        self, votes: Float[Array, "batch out in dim"], densities: Any
    ) -> Float[Array, "batch out in"]:
        """Logarithms of what each density makes of each vote, to compete for its capsule."""
        raise NotImplementedError

    def _routed(self, densities: Any, assignments: Float[Array, "batch in out"]) -> Routed:
        """The output capsules that the densities are."""
        raise NotImplementedError
