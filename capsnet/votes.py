"""The votes of fully connected capsules: each input capsule times a matrix for each output."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


@jax.custom_vjp
def make_votes(
    capsules: Float[Array, "batch in in_dim"],
    kernel: Float[Array, "in in_dim out out_dim"],
) -> Float[Array, "batch in out out_dim"]:
    """What each input capsule predicts for each output capsule.

    u_hat of equation 2 in Sabour, Frosst and Hinton (2017). One product of matrices for each input
    capsule, forwards and backwards; the gradient is written out so that neither is the transpose
    of an array as large as the votes. Only reverse-mode differentiation is supported.
    """
    return jnp.transpose(jnp.einsum("bic,icjd->ibjd", capsules, kernel), (1, 0, 2, 3))


def _forward(capsules, kernel):
    return make_votes(capsules, kernel), (capsules, kernel)


def _backward(residuals, cotangent):
    capsules, kernel = residuals
    inputs, in_dim = kernel.shape[:2]
    # Input capsules first, as both products want them. Without the barrier XLA transposes twice,
    # and each time computes anew what it transposes.
    by_input = jnp.transpose(cotangent, (1, 0, 2, 3)).reshape(inputs, len(capsules), -1)
    by_input = lax.optimization_barrier(by_input)
    matrices = kernel.reshape(inputs, in_dim, -1)
    by_kernel = jnp.einsum("ibc,ibx->icx", jnp.swapaxes(capsules, 0, 1), by_input)
    return jnp.einsum("ibx,icx->bic", by_input, matrices), by_kernel.reshape(kernel.shape)


make_votes.defvjp(_forward, _backward)
