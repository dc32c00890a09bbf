"""Dynamic routing: votes of input capsules become poses of output capsules by agreement.

Procedure 1 of Sabour, Frosst and Hinton (2017); axes as in `capsnet.routing.base`.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Num

from capsnet.routing.base import Capsules, Routed, Routing
from capsnet.vectors import squash
from cnn import validation
from cnn.arrays import check_axes, widened


@dataclasses.dataclass(frozen=True)
class DynamicRouting(Routing):
    """Routing by agreement: procedure 1 of Sabour, Frosst and Hinton (2017).

    Attributes:
        iterations: Passes, at least 1; with 1 the couplings are uniform.
        leaky: Whether an input capsule may send a part of its vote nowhere.
        stop_gradient: Whether couplings are constants in the backward pass.
    """

    takes_bias = True

    iterations: int = 3
    leaky: bool = False
    stop_gradient: bool = False

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""
        validation.check(
            self,
            iterations=validation.whole(most=validation.MAX_UNROLLED),
            leaky=validation.flag,
            stop_gradient=validation.flag,
        )

    def __call__(
        self,
        votes: Num[ArrayLike, "batch in out dim"],
        capsules: Capsules | None = None,
        *,
        bias: Num[ArrayLike, "..."] | None = None,
    ) -> Routed:
        """Routes votes by `dynamic_routing`; the input capsules do not matter."""
        del capsules
        return dynamic_routing(votes, bias=bias, **dataclasses.asdict(self))


def dynamic_routing(
    votes: Num[ArrayLike, "batch in out dim"],
    *,
    iterations: int = 3,
    bias: Num[ArrayLike, "..."] | None = None,
    leaky: bool = False,
    stop_gradient: bool = False,
) -> Routed:
    """Routing by agreement: procedure 1 of Sabour, Frosst and Hinton (2017).

    Logits start at zero for every image. Each iteration turns them into couplings by a softmax
    over the output capsules, squashes the coupled sum of votes, and (but for the last) adds the
    agreement of votes and poses to the logits.

    The gradient is written by hand, for speed and memory (see `_route_backward`), so only
    reverse-mode differentiation is supported, to any order.

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
        ValueError: if `iterations` is below 1 or too many to compile, or the shapes do not fit.
    """
    check_iterations = validation.whole(most=validation.MAX_UNROLLED)
    validation.check_values(iterations=(iterations, check_iterations))
    votes = widened(votes)
    check_axes("votes", votes, "batch in out dim")
    bias = jnp.zeros(votes.shape[2:], votes.dtype) if bias is None else widened(bias)
    if bias.shape != votes.shape[2:]:
        raise ValueError(
            f"bias of shape {bias.shape}: must be [out, dim] = {votes.shape[2:]}, as votes have it"
        )
    # Input capsules last: each sum over them or over the components of a pose then runs along
    # neighbours in memory. If the votes are made in this order, the two transposes cancel.
    votes = jnp.transpose(votes, (0, 2, 3, 1))
    poses, couplings = _route(votes, bias.astype(votes.dtype), iterations, leaky, stop_gradient)
    return Routed(poses, jnp.swapaxes(couplings, 1, 2))


def _poses_and_couplings(votes, bias, iterations, leaky, stop_gradient):
    """Votes `[b, j, d, i]` to poses `[b, j, d]` and couplings `[b, j, i]`."""
    return _route_forward(votes, bias, iterations, leaky, stop_gradient)[0]


def _route_forward(votes, bias, iterations, leaky, stop_gradient):
    couplings = _couplings(votes, None, leaky)
    totals = [_coupled_sum(votes, couplings) + bias]
    poses = agreed = squash(totals[0])
    for _ in range(iterations - 1):
        couplings = _couplings(votes, agreed, leaky)
        totals.append(_coupled_sum(votes, couplings) + bias)
        poses = squash(totals[-1])
        agreed = agreed + poses
    return (poses, couplings), (votes, totals)


def _route_backward(iterations, leaky, stop_gradient, residuals, cotangents):
    """The gradient from the votes and the sums of each iteration.

    The logits after r iterations are the agreement of the votes with the sum of the poses so far,
    so couplings need not be kept. The gradient of the votes is a sum of outer products over (j, d)
    and (j, i): they are collected and multiplied out once, where differentiation of the loop
    writes an array of the votes' size for each.
    """
    votes, totals = residuals
    pose_cotangent, coupling_cotangent = cotangents
    poses = [squash(total) for total in totals]
    agreed_cotangent, bias_cotangent = 0.0, 0.0
    products = []
    for iteration in reversed(range(iterations)):
        agreed = sum(poses[:iteration]) if iteration else None
        couplings = _couplings(votes, agreed, leaky)
        (total_cotangent,) = jax.vjp(squash, totals[iteration])[1](pose_cotangent)
        bias_cotangent += jnp.sum(total_cotangent, axis=0)
        products.append((total_cotangent, couplings))
        if agreed is None or stop_gradient:
            break
        coupling_cotangent += _agreement(votes, total_cotangent)
        logit_cotangent = couplings * coupling_cotangent
        logit_cotangent -= couplings * jnp.sum(logit_cotangent, axis=1, keepdims=True)
        products.append((agreed, logit_cotangent))
        agreed_cotangent += _coupled_sum(votes, logit_cotangent)
        pose_cotangent, coupling_cotangent = agreed_cotangent, 0.0
    # The barriers keep XLA from computing all factors again for every element of the product.
    products = lax.optimization_barrier(products)
    outer = (pose[..., None] * coupling[:, :, None] for pose, coupling in products)
    return lax.optimization_barrier(sum(outer)), bias_cotangent


_route = jax.custom_vjp(_poses_and_couplings, nondiff_argnums=(2, 3, 4))
_route.defvjp(_route_forward, _route_backward)


def _coupled_sum(votes, couplings):
    return jnp.einsum("bjdi,bji->bjd", votes, couplings)


def _agreement(votes, poses):
    return jnp.einsum("bjdi,bjd->bji", votes, poses)


def _couplings(votes, agreed, leaky):
    """Softmax over output capsules of the agreement; a leak takes part in it and is dropped."""
    batch, out, _, inputs = votes.shape
    if agreed is None:
        # Written out: a softmax of constant zeros costs seconds of compilation.
        return jnp.full((batch, out, inputs), 1.0 / (out + leaky), votes.dtype)
    logits = _agreement(votes, agreed)
    if not leaky:
        return jax.nn.softmax(logits, axis=1)
    leak = jnp.zeros_like(logits[:, :1])
    return jax.nn.softmax(jnp.concatenate([leak, logits], axis=1), axis=1)[:, 1:]
