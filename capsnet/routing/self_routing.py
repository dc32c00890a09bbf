"""Self-routing: each input capsule decides by itself where its vote goes, without iterations.

Hahn, Pyeon and Kim, "Self-routing capsule networks" (2019); axes as in `capsnet.routing.base`.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.routing.base import Capsules, Routed, Routing, Sizes
from cnn.arrays import alike, check_axes, widened
from cnn.output import EPS


@dataclasses.dataclass(frozen=True)
class SelfRouting(Routing):
    """Couplings that a linear layer of each input capsule's own reads off its pose, in one pass."""

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> "SelfRouter":
        """Makes the module that routes; its weights start at zero, so nothing is drawn."""
        del rngs
        return SelfRouter(sizes)


class SelfRouter(nnx.Module):
    """Self-routing with its weights.

    With poses u_i and activations a_i of the input capsules and votes v_ij, and weights W_i and b_i
    that start at zero: r_ij = softmax over j of (W_i u_i + b_i), activations of the output capsules
    a_j = sum_i a_i r_ij / sum_i a_i, and poses u_j = sum_i a_i r_ij v_ij / sum_i a_i r_ij.

    The activations of the output capsules add up to one. Where those of all input capsules are
    zero, all of them count alike.

    Args:
        sizes: Of the layers that it is between.
    """

    def __init__(self, sizes: Sizes):
        shape = (sizes.in_capsules, sizes.in_dim, sizes.out_capsules)
        self.kernel = nnx.Param(jnp.zeros(shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((sizes.in_capsules, sizes.out_capsules), jnp.float32))

    def couplings(self, poses: Num[ArrayLike, "batch in in_dim"]) -> Float[Array, "batch in out"]:
        """Shares of the input capsules' votes, of their poses: r of the equations.

        Raises:
            ValueError: if the poses are not of the sizes that it was built for.
        """
        poses = widened(poses)
        check_axes("poses", poses, "batch in in_dim")
        kernel, bias = (weights[...].astype(poses.dtype) for weights in (self.kernel, self.bias))
        if poses.shape[1:] != kernel.shape[:2]:
            raise ValueError(
                f"poses of shape {poses.shape}: must be [batch, in, in_dim] with [in, in_dim] = "
                f"{kernel.shape[:2]}, as this routing was built"
            )
        return jax.nn.softmax(jnp.einsum("bic,icj->bij", poses, kernel) + bias, axis=2)

    def activate(
        self, capsules: Capsules
    ) -> tuple[Float[Array, "batch out"], Float[Array, "batch in out"]]:
        """Activations of output capsules that have no poses, and the couplings.

        Raises:
            ValueError: if the poses are not of the sizes that it was built for.
        """
        couplings = self.couplings(capsules.poses)
        shares, couplings = alike(activation_shares(capsules.activations), couplings)
        return jnp.einsum("bi,bij->bj", shares, couplings), couplings

    def __call__(self, votes: Num[ArrayLike, "batch in out dim"], capsules: Capsules) -> Routed:
        """Routes votes; poses are means of them, and not squashed.

        Raises:
            ValueError: if the poses are not of the sizes that it was built for, or votes have other
                axes.
        """
        activations, couplings = self.activate(capsules)
        votes, couplings, shares = alike(votes, couplings, activation_shares(capsules.activations))
        check_axes("votes", votes, "batch in out dim")
        # A capsule that gets less of all activation than EPS has a shorter pose, down to zero.
        total = jnp.einsum("bij,bijd->bjd", shares[..., None] * couplings, votes)
        poses = total / jnp.maximum(activations, EPS)[..., None].astype(total.dtype)
        return Routed(poses, couplings, activations.astype(total.dtype))


def activation_shares(activations: Num[ArrayLike, "batch in"]) -> Float[Array, "batch in"]:
    """Activations of input capsules as shares of their sum; equal shares where all are zero.

    Args:
        activations: At least zero.
    """
    activations = widened(activations)
    # The shares do not depend on the scale, so it may be a constant; squares of tiny sums would
    # else vanish in the gradient.
    largest = jax.lax.stop_gradient(jnp.max(activations, axis=1, keepdims=True))
    none = largest <= jnp.finfo(activations.dtype).tiny
    scaled = jnp.where(none, 1.0, activations / jnp.where(none, 1.0, largest))
    return scaled / jnp.sum(scaled, axis=1, keepdims=True)
