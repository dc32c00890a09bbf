"""Routing by expectation maximisation: output capsules are Gaussians that explain the votes.

Procedure 1 of Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018); axes as in
`capsnet.routing.base`.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from capsnet.routing.base import Routed, Routing, Sizes
from capsnet.routing.mixtures import Mixture
from cnn import validation

# An output capsule with less data than this, of a share of about one, has no mean.
MIN_DATA = 1e-6
# The smallest floor of variances. Far smaller ones are zero in float32, and so are the variances of
# votes that agree, of which there are then neither logarithms nor inverses.
MIN_VARIANCE = 1e-8
# Of a Gaussian of unit variance, in nats.
UNIT_ENTROPY = 0.5 * math.log(2.0 * math.pi * math.e)


def narrowest_cost(min_variance: float) -> float:
    """The `initial_cost` at which the narrowest Gaussian costs nothing: -ln(min_variance) / 2."""
    return -math.log(min_variance) / 2.0


@dataclasses.dataclass(frozen=True)
class ExpectationMaximisationRouting(Routing):
    """Routing by expectation maximisation: Hinton, Sabour and Frosst (2018), procedure 1.

    Where Gritzman, "Avoiding implementation pitfalls of matrix capsules with EM routing" (2019),
    found implementations to fail: the variance has a floor and no root is taken of it; the cost of
    an output capsule is in units of the data that it gets when all get equal shares, so that one
    inverse temperature fits layers of all sizes; and output capsules of all places compete for an
    input capsule.

    Attributes:
        iterations: M steps, at least 1; with 1 the assignments are equal shares.
        final_beta: The inverse temperature, lambda in the paper, after many iterations; in
            iteration t, counted from 1, it is this times 1 - 0.95^t.
        min_variance: Added to every variance, in squared units of a pose; at least 1e-8.
        initial_cost: Of describing a component, beta_u in the paper, before it is learned: what a
            Gaussian of unit variance costs, in nats. With `narrowest_cost` the narrowest costs
            nothing; that is below zero where no variance is as small as one. If narrow ones cost
            less than nothing, they are the most active at first: in images with a blank ground
            those of its votes, which agree but say nothing.
    """

    over_places = True

    iterations: int = 3
    final_beta: float = 1.0
    min_variance: float = 5e-4
    initial_cost: float = UNIT_ENTROPY

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""
        positive = validation.number(0.0, validation.MAX_WEIGHT, beyond=True)
        validation.check(
            self,
            iterations=validation.whole(most=validation.MAX_UNROLLED),
            final_beta=positive,
            min_variance=validation.number(MIN_VARIANCE, validation.MAX_WEIGHT),
            initial_cost=validation.number(-validation.MAX_WEIGHT, validation.MAX_WEIGHT),
        )

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> "ExpectationMaximisation":
        """Creates the costs that each type of output capsule learns."""
        del rngs
        return ExpectationMaximisation(self, sizes.out_capsules)


class Gaussians(NamedTuple):
    """Output capsules as axis-aligned Gaussians over votes, with the data that they explain.

    Attributes:
        mean: The poses.
        variance: Of each component.
        data: Activations of the input capsules by what of them is assigned, summed.
    """

    mean: Float[Array, "batch out dim"]
    variance: Float[Array, "batch out dim"]
    data: Float[Array, "batch out"]


class ExpectationMaximisation(Mixture):
    """EM routing with a cost of description and a benefit of activation for each output capsule.

    Args:
        config: The iterations, their temperature and the floor of variances.
        out_capsules: Output capsules at a place.
    """

    def __init__(self, config: ExpectationMaximisationRouting, out_capsules: int):
        self.config = config
        self.iterations = config.iterations
        self.beta_u = nnx.Param(jnp.full(out_capsules, config.initial_cost, jnp.float32))
        self.beta_a = nnx.Param(jnp.zeros(out_capsules, jnp.float32))

    def _fit(self, votes, weights, equal_data, iteration):
        """The M step: Gaussians, and the logits of their capsules' activations.

        lambda (beta_a - sum_h (beta_u + log sigma_h) sum_i R_i a_i).
        """
        gaussians = fit(votes, weights, self.config.min_variance)
        beta_u, beta_a = (beta[...].astype(votes.dtype) for beta in (self.beta_u, self.beta_a))
        log_deviations = 0.5 * jnp.sum(jnp.log(gaussians.variance), axis=2)
        cost = (votes.shape[3] * beta_u + log_deviations) * gaussians.data / equal_data
        inverse_temperature = self.config.final_beta * (1.0 - 0.95**iteration)
        return gaussians, inverse_temperature * (beta_a - cost)

    def _evidence(self, votes, densities):
        gaussians, logits = densities
        return jax.nn.log_sigmoid(logits)[..., None] + log_densities(votes, gaussians)

    def _routed(self, densities, assignments):
        gaussians, logits = densities
        return Routed(gaussians.mean, assignments, jax.nn.sigmoid(logits))


def fit(
    votes: Float[Array, "batch out in dim"],
    weights: Float[Array, "batch out in"],
    min_variance: float,
) -> Gaussians:
    """Fits the Gaussians under which weighted votes are most likely.

    Args:
        votes: The data, other for each output capsule.
        weights: How much each vote counts.
        min_variance: Added to every variance.
    """
    data = jnp.sum(weights, axis=2)
    total = jnp.maximum(data, MIN_DATA)[..., None]
    mean = jnp.einsum("bji,bjid->bjd", weights, votes) / total
    spread = jnp.einsum("bji,bjid->bjd", weights, jnp.square(votes - mean[:, :, None]))
    return Gaussians(mean, spread / total + min_variance, data)


def log_densities(
    votes: Float[Array, "batch out in dim"], gaussians: Gaussians
) -> Float[Array, "batch out in"]:
    """Logarithms of the votes' densities, without the constant that all Gaussians share."""
    squared = jnp.square(votes - gaussians.mean[:, :, None])
    distances = jnp.einsum("bjid,bjd->bji", squared, 1.0 / gaussians.variance)
    log_determinants = jnp.sum(jnp.log(gaussians.variance), axis=2)
    return -0.5 * (distances + log_determinants[..., None])
