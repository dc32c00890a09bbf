"""Inverted dot-product attention: output capsules compete for each input capsule's vote.

Tsai, Srivastava, Goh and Salakhutdinov, "Capsules with inverted dot-product attention routing"
(2020); axes as in `capsnet.routing.base`.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.routing.base import Capsules, Routed, Routing, Sizes
from cnn import validation
from cnn.arrays import alike, check_axes, widened


@dataclasses.dataclass(frozen=True)
class InvertedAttentionRouting(Routing):
    """Inverted dot-product attention routing of Tsai et al. (2020), one layer after another.

    Attributes:
        iterations: Passes, at least 1; with 1 the couplings are uniform.
    """

    activates = False  # the poses are normalised, so that all have one length

    iterations: int = 2

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""
        validation.check(self, iterations=validation.whole(most=validation.MAX_UNROLLED))

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> "InvertedAttention":
        """Makes the module that routes.

        Raises:
            ValueError: as `InvertedAttention`.
        """
        return InvertedAttention(sizes, self.iterations, rngs=rngs)


class InvertedAttention(nnx.Module):
    """Inverted dot-product attention with the scale and bias of its layer normalisation.

    Each pass takes couplings r_ij = softmax over j of <v_ij, p_j> / sqrt(d) of the votes v_ij and
    the poses p_j of the pass before, and makes new poses p_j = LayerNorm(sum_i r_ij v_ij). The
    first one has no poses yet and shares each vote out evenly. Where there are old poses, such as
    in `capsnet.networks.attention.route_concurrently`, they take its place.

    Args:
        sizes: Of the layers that it is between.
        iterations: Passes of a call.
        rngs: Source of the initial values; scale 1 and bias 0 draw nothing.

    Raises:
        ValueError: if output capsules have a single component, of which the normalisation leaves
            nothing.
    """

    def __init__(self, sizes: Sizes, iterations: int, *, rngs: nnx.Rngs):
        validation.check_values(out_dim=(sizes.out_dim, validation.whole(2)))
        self.norm = nnx.LayerNorm(sizes.out_dim, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.iterations = iterations

    def __call__(
        self,
        votes: Num[ArrayLike, "batch in out dim"],
        capsules: Capsules | None = None,
        *,
        previous: Num[ArrayLike, "..."] | None = None,
    ) -> Routed:
        """Routes votes; the input capsules do not matter.

        Args:
            votes: Predictions of every input capsule for every output capsule.
            capsules: Not used.
            previous: Poses of output capsules, `[batch, out, dim]`, that the first pass attends to;
                None for none.

        Raises:
            ValueError: if the shapes do not fit.
        """
        del capsules
        votes = widened(votes)
        check_axes("votes", votes, "batch in out dim")
        poses = None if previous is None else widened(previous)
        couplings = attend(votes, poses)
        poses = self._poses(votes, couplings)
        for _ in range(self.iterations - 1):
            couplings = attend(votes, poses)
            poses = self._poses(votes, couplings)
        return Routed(poses, couplings)

    def _poses(self, votes, couplings):
        return self.norm(jnp.einsum("bij,bijd->bjd", couplings, votes))


def attend(
    votes: Num[ArrayLike, "batch in out dim"],
    poses: Num[ArrayLike, "..."] | None,
) -> Float[Array, "batch in out"]:
    """Couplings of votes: softmax over output capsules of their agreement with these.

    Args:
        votes: Predictions of every input capsule for every output capsule.
        poses: Of the output capsules, `[batch, out, dim]`; None for equal shares.

    Raises:
        ValueError: if the shapes do not fit.
    """
    votes, *given = alike(votes, *([] if poses is None else [poses]))
    check_axes("votes", votes, "batch in out dim")
    if not given:
        return jnp.full(votes.shape[:3], 1.0 / votes.shape[2], votes.dtype)
    (poses,) = given
    batch, _, out, dim = votes.shape
    if poses.shape != (batch, out, dim):
        raise ValueError(
            f"poses of shape {poses.shape}: must be [batch, out, dim] = {(batch, out, dim)}, as "
            "votes have it"
        )
    logits = jnp.einsum("bijd,bjd->bij", votes, poses) / math.sqrt(dim)
    return jax.nn.softmax(logits, axis=2)
