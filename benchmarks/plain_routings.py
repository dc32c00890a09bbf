"""The routings of `capsnet.routing` as their papers print them: an equation, an einsum.

What XLA makes of a procedure that nobody wrote for speed, and what ours is measured against. Each
takes the built routing, whose weights and settings it reads, votes `[b, i, j, d]` and the input
capsules, and returns the poses, and the activations where the routing has any besides lengths.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from capsnet.vectors import squash


def dynamic(routing, votes, capsules):
    """Procedure 1 of Sabour, Frosst and Hinton (2017)."""
    del capsules
    couplings = _equal_shares(votes)
    logits = jnp.zeros(())
    for _ in range(routing.iterations - 1):
        poses = squash(_sum(couplings, votes))
        logits = logits + jnp.einsum("bijd,bjd->bij", votes, poses)
        couplings = jax.nn.softmax(logits, axis=2)
    return (squash(_sum(couplings, votes)),)


def uniform(routing, votes, capsules):
    """The mean of the votes, squashed: Gu and Tresp (2020)."""
    del routing, capsules
    return (squash(jnp.mean(votes, axis=1)),)


def self_attention(routing, votes, capsules):
    """Equations 4 to 6 of Mazzia, Salvetti and Chiaberge (2021), of all pairs of votes."""
    del capsules
    agreement = jnp.einsum("bijd,bkjd->bij", votes, votes) / math.sqrt(votes.shape[3])
    total = _sum(jax.nn.softmax(agreement, axis=2) + routing.bias[...], votes)
    norm = jnp.linalg.norm(total, axis=2, keepdims=True)
    return ((1.0 - jnp.exp(-norm)) * total / norm,)


def self_routing(routing, votes, capsules):
    """Section 3 of Hahn, Pyeon and Kim (2019)."""
    logits = jnp.einsum("bic,icj->bij", capsules.poses, routing.kernel[...]) + routing.bias[...]
    weights = capsules.activations[..., None] * jax.nn.softmax(logits, axis=2)
    total = jnp.sum(weights, axis=1)
    activations = total / jnp.sum(capsules.activations, axis=1, keepdims=True)
    return _sum(weights, votes) / total[..., None], activations


def inverted_attention(routing, votes, capsules):
    """Algorithm 1 of Tsai, Srivastava, Goh and Salakhutdinov (2020)."""
    del capsules
    poses = routing.norm(_sum(_equal_shares(votes), votes))
    for _ in range(routing.iterations - 1):
        logits = jnp.einsum("bijd,bjd->bij", votes, poses) / math.sqrt(votes.shape[3])
        poses = routing.norm(_sum(jax.nn.softmax(logits, axis=2), votes))
    return (poses,)


def expectation_maximisation(routing, votes, capsules):
    """Procedure 1 of Hinton, Sabour and Frosst (2018), as `capsnet.routing` scales its costs."""
    shares, equal_data = _equal_shares(votes), votes.shape[1] / votes.shape[2]
    mean = logits = jnp.zeros(())
    for iteration in range(1, routing.config.iterations + 1):
        weights = shares * capsules.activations[..., None]
        data = jnp.sum(weights, axis=1)
        mean = _sum(weights, votes) / data[..., None]
        squared = jnp.square(votes - mean[:, None])
        variance = _sum(weights, squared) / data[..., None] + routing.config.min_variance
        log_deviation = 0.5 * jnp.log(variance)
        cost = jnp.sum(routing.beta_u[...][:, None] + log_deviation, axis=2) * data / equal_data
        inverse_temperature = routing.config.final_beta * (1.0 - 0.95**iteration)
        logits = inverse_temperature * (routing.beta_a[...] - cost)
        distance = jnp.einsum("bijd,bjd->bij", squared, 1.0 / variance)
        log_density = -0.5 * distance - jnp.sum(log_deviation, axis=2)[:, None]
        shares = jax.nn.softmax(jax.nn.log_sigmoid(logits)[:, None] + log_density, axis=2)
    return mean, jax.nn.sigmoid(logits)


def variational_bayes(routing, votes, capsules):
    """Algorithm 1 of Ribeiro, Leontidis and Kollias (2020), with the priors of ours."""
    dim = votes.shape[3]
    shares = _equal_shares(votes)
    mean = log_share = log_precision = jnp.zeros(())
    for _ in range(routing.iterations):
        weights = shares * capsules.activations[..., None]
        data = jnp.sum(weights, axis=1)
        alpha, kappa, nu = 1.0 + data, 1.0 + data, dim + 1.0 + data
        mean = _sum(weights, votes) / kappa[..., None]
        squared = jnp.square(votes - mean[:, None])
        inverse_scale = 1.0 + _sum(weights, squared) + jnp.square(mean)
        digammas = digamma((nu[..., None] - jnp.arange(dim)) / 2.0)
        log_determinant = -jnp.sum(jnp.log(inverse_scale), axis=2)
        log_precision = jnp.sum(digammas, axis=2) + dim * math.log(2.0) + log_determinant
        log_share = digamma(alpha) - digamma(jnp.sum(alpha, axis=1, keepdims=True))
        distance = jnp.einsum("bijd,bjd->bij", squared, 1.0 / inverse_scale)
        of_capsules = log_precision - dim / kappa
        log_density = 0.5 * (of_capsules[:, None] - nu[:, None] * distance)
        shares = jax.nn.softmax(log_share[:, None] + log_density, axis=2)
    entropy = 0.5 * (dim * math.log(2.0 * math.pi * math.e) - log_precision)
    logits = routing.beta_a[...] - (jnp.exp(log_share) * entropy + routing.beta_u[...])
    return mean, jax.nn.sigmoid(logits)


def _equal_shares(votes):
    return jnp.full(votes.shape[:3], 1.0 / votes.shape[2], votes.dtype)


def _sum(weights, votes):
    return jnp.einsum("bij,bijd->bjd", weights, votes)
