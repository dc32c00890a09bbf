"""Routing between capsule layers: how votes of input capsules become poses of output capsules.

Axes, here and in every caller: b batch, i input capsule, j output capsule, d pose. A routing is a
function of votes `[b, i, j, d]` that returns a `Routing`; a model takes any such function.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from capsnet.vectors import squash


class Routing(NamedTuple):
    """What a routing decides.

    Attributes:
        poses: Output capsules, squashed.
        couplings: Share of each input capsule that went to each output capsule in the last
            iteration; they sum to one over `out`, or to less with a leak.
    """

    poses: Float[Array, "batch out dim"]
    couplings: Float[Array, "batch in out"]


def dynamic_routing(
    votes: Float[Array, "batch in out dim"],
    *,
    iterations: int = 3,
    bias: Float[Array, "out dim"] | None = None,
    leaky: bool = False,
    stop_gradient: bool = False,
) -> Routing:
    """Routing by agreement: procedure 1 of Sabour, Frosst and Hinton (2017).

    Logits start at zero for every image. Each iteration turns them into couplings by a softmax
    over the output capsules, squashes the coupled sum of votes, and (but for the last) adds the
    agreement of votes and poses to the logits.

    Args:
        votes: Predictions of every input capsule for every output capsule.
        iterations: Passes, at least 1; with 1 the couplings are uniform.
        bias: Added to the coupled sum in every iteration before the squash, as in the authors'
            released code.
        leaky: Adds a "none of these" logit of zero to the softmax, so that an input capsule may
            withhold part of its vote.
        stop_gradient: Treats the couplings as constants in the backward pass. The authors' code
            does not, so the default is False; values are the same either way.

    Returns:
        Poses and last couplings, in float32 or wider.

    Raises:
        ValueError: if `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: routing needs at least 1")
    votes = votes.astype(jnp.promote_types(votes.dtype, jnp.float32))
    agreement_votes = lax.stop_gradient(votes) if stop_gradient else votes
    # The first couplings are written out: a softmax of constant zeros costs seconds of compilation.
    couplings = jnp.full(votes.shape[:3], 1.0 / (votes.shape[2] + leaky), votes.dtype)
    logits = jnp.zeros((), votes.dtype)
    for _ in range(iterations - 1):
        poses = _coupled_poses(agreement_votes, couplings, bias)
        if stop_gradient:
            poses = lax.stop_gradient(poses)
        logits = logits + jnp.einsum("bijd,bjd->bij", agreement_votes, poses)
        couplings = _couplings(logits, leaky)
    return Routing(_coupled_poses(votes, couplings, bias), couplings)


def _coupled_poses(votes, couplings, bias):
    total = jnp.einsum("bij,bijd->bjd", couplings, votes)
    return squash(total if bias is None else total + bias)


def _couplings(logits, leaky):
    """Softmax over output capsules; a leak takes part in it and is dropped."""
    if not leaky:
        return jax.nn.softmax(logits, axis=-1)
    leak = jnp.zeros_like(logits[..., :1])
    return jax.nn.softmax(jnp.concatenate([leak, logits], axis=-1), axis=-1)[..., 1:]
