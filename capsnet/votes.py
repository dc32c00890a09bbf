"""The votes of capsules: each input capsule times a matrix for each output capsule."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.vectors import squash
from cnn.arrays import check_axes, same_type, wide_type, widened


def make_votes(
    capsules: Num[ArrayLike, "batch in in_dim"],
    kernel: Num[ArrayLike, "..."],
) -> Float[Array, "batch in out out_dim"]:
    """Predictions of each input capsule for each output capsule.

    u_hat of equation 2 in Sabour, Frosst and Hinton (2017). One product of matrices for each input
    capsule, forwards and backwards; the gradient is written out so that neither is the transpose
    of an array as large as the votes. Only reverse-mode differentiation is supported.

    Args:
        capsules: The input capsules.
        kernel: `[in, in_dim, out, out_dim]`, all matrices. Fewer in the first place, by a divisor
            of the number of input capsules, are shared: capsule i takes those of i modulo it.

    Raises:
        ValueError: if the shapes do not fit.
    """
    capsules, kernel = _checked(capsules, kernel)
    groups, in_dim, out, out_dim = kernel.shape
    batch, inputs, _ = capsules.shape
    if groups == inputs:
        return _make_votes(capsules, kernel)
    votes = _make_votes(capsules.reshape(batch * (inputs // groups), groups, in_dim), kernel)
    return votes.reshape(batch, inputs, out, out_dim)


def make_matrix_votes(
    poses: Num[ArrayLike, "batch in dim"],
    kernel: Num[ArrayLike, "..."],
) -> Float[Array, "batch in out dim"]:
    """Products of the input capsules' pose matrices with a matrix for each output capsule.

    V_ij = M_i W_ij: section 3 of Hinton, Sabour and Frosst, "Matrix capsules with EM routing"
    (2018). Only reverse-mode differentiation is supported.

    Args:
        poses: Square matrices, row by row, so that `dim` is the square of their side.
        kernel: `[in, side, out, side]`, shared as in `make_votes` if there are fewer.

    Raises:
        ValueError: if the shapes do not fit.
    """
    rows, kernel = _rows(poses, kernel)
    batch, side, inputs, _ = rows.shape
    votes = make_votes(rows.reshape(batch * side, inputs, side), kernel)
    votes = votes.reshape(batch, side, inputs, kernel.shape[2], side)
    return jnp.transpose(votes, (0, 2, 3, 1, 4)).reshape(batch, inputs, kernel.shape[2], side**2)


def mean_matrix_vote(
    poses: Num[ArrayLike, "batch in dim"],
    kernel: Num[ArrayLike, "..."],
) -> Float[Array, "batch out dim"]:
    """Mean of `make_matrix_votes` over the input capsules, made as in `mean_vote`.

    Args:
        poses: See `make_matrix_votes`.
        kernel: See `make_matrix_votes`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    rows, kernel = _rows(poses, kernel)
    batch, side, inputs, _ = rows.shape
    vote = mean_vote(rows.reshape(batch * side, inputs, side), kernel)
    vote = vote.reshape(batch, side, kernel.shape[2], side)
    return jnp.swapaxes(vote, 1, 2).reshape(batch, kernel.shape[2], side**2)


def mean_vote(
    capsules: Num[ArrayLike, "batch in in_dim"],
    kernel: Num[ArrayLike, "..."],
) -> Float[Array, "batch out out_dim"]:
    """Mean of the votes over the input capsules, without the votes, which are linear in capsules.

    One product of matrices for all input capsules together; those that share matrices are averaged
    first.

    Args:
        capsules: See `make_votes`.
        kernel: See `make_votes`.

    Returns:
        What `make_votes` has on average, summed in float32 or wider and of that type.

    Raises:
        ValueError: if the shapes do not fit.
    """
    capsules, kernel = _checked(capsules, kernel)
    groups, in_dim, out, out_dim = kernel.shape
    batch, inputs, _ = capsules.shape
    wide = wide_type(capsules.dtype)
    if groups < inputs:
        shared = capsules.reshape(batch, inputs // groups, groups, in_dim)
        capsules = jnp.mean(shared, axis=1, dtype=wide).astype(capsules.dtype)
    rows, columns = capsules.reshape(batch, groups * in_dim), kernel.reshape(-1, out * out_dim)
    total = jnp.matmul(rows, columns, preferred_element_type=wide)
    return total.reshape(batch, out, out_dim) / groups


def mean_squashed_votes(
    votes: Num[ArrayLike, "batch in out dim"],
) -> Float[Array, "batch out dim"]:
    """Averages squashed votes over the input capsules, without routing.

    What the vote attack raises the loss of: Gu, Wu and Tresp, "Effective and efficient vote attack
    on capsule networks" (2021).

    Args:
        votes: Predictions of every input capsule for every output capsule.

    Returns:
        Vectors of lengths in [0, 1), in float32 or wider.
    """
    return jnp.mean(squash(widened(votes)), axis=1)


def _checked(capsules, kernel):
    """Capsules and matrices in one type; raises a `ValueError` if their shapes do not fit."""
    capsules, kernel = same_type(capsules, kernel)
    check_axes("capsules", capsules, "batch in in_dim")
    check_axes("kernel", kernel, "in in_dim out out_dim")
    groups = kernel.shape[0]
    if kernel.shape[1] != capsules.shape[2] or groups == 0 or capsules.shape[1] % groups:
        raise ValueError(
            f"kernel of shape {kernel.shape}: must begin with [in, in_dim] = {capsules.shape[1:]}, "
            "as capsules have it, or with a divisor of in"
        )
    return capsules, kernel


def _rows(poses, kernel):
    """Rows of pose matrices, each of which is transformed by itself: `[batch, side, in, side]`."""
    poses, kernel = same_type(poses, kernel)
    check_axes("poses", poses, "batch in dim")
    check_axes("kernel", kernel, "in side out side")
    batch, inputs, dim = poses.shape
    side = math.isqrt(dim)
    if side * side != dim or kernel.shape[1::2] != (side, side):
        raise ValueError(
            f"kernel of shape {kernel.shape}: must be [in, side, out, side] where poses have "
            f"side * side = {dim} components"
        )
    return jnp.swapaxes(poses.reshape(batch, inputs, side, side), 1, 2), kernel


@jax.custom_vjp
def _make_votes(capsules, kernel):
    return jnp.transpose(jnp.einsum("bic,icjd->ibjd", capsules, kernel), (1, 0, 2, 3))


def _forward(capsules, kernel):
    return _make_votes(capsules, kernel), (capsules, kernel)


def _backward(residuals, cotangent):
    capsules, kernel = residuals
    inputs, in_dim, out, out_dim = kernel.shape
    # Input capsules first, as both products want them. Without the barrier XLA transposes twice,
    # and each time computes anew what it transposes.
    by_input = jnp.transpose(cotangent, (1, 0, 2, 3)).reshape(
        inputs, capsules.shape[0], out * out_dim
    )
    by_input = lax.optimization_barrier(by_input)
    matrices = kernel.reshape(inputs, in_dim, out * out_dim)
    by_kernel = jnp.einsum("ibc,ibx->icx", jnp.swapaxes(capsules, 0, 1), by_input)
    return jnp.einsum("ibx,icx->bic", by_input, matrices), by_kernel.reshape(kernel.shape)


_make_votes.defvjp(_forward, _backward)
