"""Variational Bayes routing: output capsules are Gaussians with priors over their parameters.

Ribeiro, Leontidis and Kollias, "Capsule routing via variational Bayes" (2020); axes as in
`capsnet.routing.base`. A mixture of Gaussians with a Dirichlet prior over its proportions and, over
means and precisions, a Gaussian-Wishart prior whose scale matrix is diagonal: the posterior keeps
the diagonal, and the Wishart's degrees of freedom are those of all components together.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.scipy.special import digamma
from jaxtyping import Array, Float

from capsnet.routing.base import Routed, Routing, Sizes
from capsnet.routing.mixtures import Mixture
from cnn import validation

# Of the Dirichlet, alpha_0, and of the mean, kappa_0 (m_0 is the zero vector); the inverse of the
# scale matrix, Psi_0, is the identity, and the degrees of freedom nu_0 are those of a pose and 1.
PRIOR_CONCENTRATION = 1.0
PRIOR_SCALING = 1.0
PRIOR_INVERSE_SCALE = 1.0


@dataclasses.dataclass(frozen=True)
class VariationalBayesRouting(Routing):
    """Routing by variational Bayes: Ribeiro, Leontidis and Kollias (2020).

    Output capsules of all places compete for an input capsule, from equal shares on.

    Attributes:
        iterations: Updates of the posterior, at least 1; with 1 the assignments are equal shares.
        batch_norm: Whether activations are batch-normalised, over images and places, before their
            sigmoid. The learned scale and shift then stand for the constants beta_a and beta_u,
            which a normalisation after them, as in the released code, cancels.
    """

    over_places = True

    iterations: int = 3
    batch_norm: bool = False

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""
        validation.check(
            self,
            iterations=validation.whole(most=validation.MAX_UNROLLED),
            batch_norm=validation.flag,
        )

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> "VariationalBayes":
        """Creates the constants that each type of output capsule learns."""
        return VariationalBayes(self, sizes.out_capsules, rngs)


class Posterior(NamedTuple):
    """The Dirichlet and the Gaussian-Wishart posterior of each output capsule.

    Attributes:
        concentration: alpha, of the Dirichlet.
        scaling: kappa, of the mean's precision.
        mean: m, the poses.
        inverse_scale: The diagonal of the inverse of Psi, the Wishart's scale matrix.
        degrees: nu, the Wishart's degrees of freedom.
    """

    concentration: Float[Array, "batch out"]
    scaling: Float[Array, "batch out"]
    mean: Float[Array, "batch out dim"]
    inverse_scale: Float[Array, "batch out dim"]
    degrees: Float[Array, "batch out"]


class VariationalBayes(Mixture):
    """Variational Bayes routing with learned constants of each output capsule's activation.

    Args:
        config: The iterations and the normalisation.
        out_capsules: Output capsules at a place.
        rngs: Source of the initial values.
    """

    def __init__(self, config: VariationalBayesRouting, out_capsules: int, rngs: nnx.Rngs):
        self.iterations = config.iterations
        normalised, shape = config.batch_norm, (out_capsules,)
        self.norm = nnx.BatchNorm(out_capsules, momentum=0.9, rngs=rngs) if normalised else None
        self.beta_a = None if normalised else nnx.Param(jnp.zeros(shape, jnp.float32))
        self.beta_u = None if normalised else nnx.Param(jnp.zeros(shape, jnp.float32))

    def _fit(self, votes, weights, equal_data, iteration):
        del equal_data, iteration  # the posterior follows from the weighted votes alone
        return update(votes, weights)

    def _evidence(self, votes, densities):
        return expected_log_densities(votes, densities)

    def _routed(self, densities, assignments):
        activations = jax.nn.sigmoid(self._activation_logits(densities))
        return Routed(densities.mean, assignments, activations)

    def _activation_logits(self, posterior):
        """beta_a - (exp(E[ln pi]) H + beta_u), with the entropy H of a Gaussian; or normalised."""
        dim = posterior.mean.shape[2]
        entropy = 0.5 * (dim * math.log(2.0 * math.pi * math.e) - log_precision(posterior))
        evidence = -jnp.exp(log_proportions(posterior)) * entropy
        if self.norm is not None:
            return self.norm(evidence)
        assert self.beta_a is not None
        assert self.beta_u is not None
        beta_a, beta_u = (beta[...].astype(evidence.dtype) for beta in (self.beta_a, self.beta_u))
        return beta_a + (evidence - beta_u)


def update(
    votes: Float[Array, "batch out in dim"], weights: Float[Array, "batch out in"]
) -> Posterior:
    """Updates the priors by weighted votes; without data the posterior is the prior.

    Args:
        votes: The data, other for each output capsule.
        weights: How much each vote counts.
    """
    data = jnp.sum(weights, axis=2)
    scaling = PRIOR_SCALING + data
    mean = jnp.einsum("bji,bjid->bjd", weights, votes) / scaling[..., None]
    # Around m in place of the data's own mean mu, which there is none of without data:
    # sum R (v - mu)^2 + (kappa_0 R / kappa) mu^2 = sum R (v - m)^2 + kappa_0 m^2.
    spread = jnp.einsum("bji,bjid->bjd", weights, jnp.square(votes - mean[:, :, None]))
    return Posterior(
        concentration=PRIOR_CONCENTRATION + data,
        scaling=scaling,
        mean=mean,
        inverse_scale=PRIOR_INVERSE_SCALE + spread + PRIOR_SCALING * jnp.square(mean),
        degrees=votes.shape[3] + 1.0 + data,
    )


def expected_log_densities(
    votes: Float[Array, "batch out in dim"], posterior: Posterior
) -> Float[Array, "batch out in"]:
    """E[ln pi] + E[ln p(vote)], without the constant that all output capsules share.

    E[ln p] = (E[ln |Lambda|] - D / kappa - nu (v - m)^T Psi (v - m)) / 2 - (D / 2) ln 2 pi.
    """
    dim = votes.shape[3]
    squared = jnp.square(votes - posterior.mean[:, :, None])
    distances = jnp.einsum("bjid,bjd->bji", squared, 1.0 / posterior.inverse_scale)
    of_capsules = log_precision(posterior) - dim / posterior.scaling
    of_votes = posterior.degrees[..., None] * distances
    return log_proportions(posterior)[..., None] + 0.5 * (of_capsules[..., None] - of_votes)


def log_proportions(posterior: Posterior) -> Float[Array, "batch out"]:
    """E[ln pi], of the proportions that the output capsules of a place have."""
    total = jnp.sum(posterior.concentration, axis=1, keepdims=True)
    return digamma(posterior.concentration) - digamma(total)


def log_precision(posterior: Posterior) -> Float[Array, "batch out"]:
    """E[ln |Lambda|] = sum_i digamma((nu - i) / 2) + D ln 2 + ln |Psi|, i from 0 to D - 1."""
    dim = posterior.mean.shape[2]
    # Terms whose arguments are 1 apart: digamma(x + 1) = digamma(x) + 1 / x gives all from one.
    digammas = _digammas((posterior.degrees - (dim - 1)) / 2.0, (dim + 1) // 2)
    if dim > 1:
        digammas += _digammas((posterior.degrees - (dim - 2)) / 2.0, dim // 2)
    return digammas + dim * math.log(2.0) - jnp.sum(jnp.log(posterior.inverse_scale), axis=2)


def _digammas(first, count):
    """digamma(first) + digamma(first + 1) + ..., so many terms."""
    # All steps in one array, as each by itself takes long to compile.
    step = np.arange(count - 1, dtype=first.dtype)
    return count * digamma(first) + jnp.sum((count - 1 - step) / (first[..., None] + step), axis=-1)
