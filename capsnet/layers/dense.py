"""Fully connected capsules, routed: from all capsules of a layer to all those of the next."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers.initializers import Initializer
from capsnet.routing import Capsules, DynamicRouting, Routed, Routing, Sizes
from capsnet.routing.base import check_routing
from capsnet.routing.competition import Softmax, softmax_over_out
from capsnet.vectors import length
from capsnet.votes import make_matrix_votes, make_votes, mean_matrix_vote, mean_vote
from cnn import validation
from cnn.arrays import as_float, check_axes

POSES = ("vector", "matrix")


class DenseCapsules(nnx.Module):
    """Fully connected capsules: a matrix for each pair of input and output capsule, then routing.

    Equation 2 of Sabour, Frosst and Hinton (2017); with matrices as poses section 3 of Hinton,
    Sabour and Frosst (2018). Layers stack to any depth.

    Args:
        in_capsules: Number of input capsules.
        in_dim: Components of an input capsule.
        out_capsules: Number of output capsules, the classes in the last layer.
        out_dim: Components of an output capsule.
        routing: How votes become output capsules.
        transformations: Matrices for each output capsule: None for one an input capsule. A divisor
            of their number shares them: capsule i takes the matrix of i modulo it, so that the
            number of types shares one over all places of a map, and 1 over all input capsules.
        pose: "vector", which a matrix `[in_dim, out_dim]` transforms, or "matrix": square ones,
            row by row, times a matrix of the same size.
        kernel_init: Initialiser of the `[transformations, in_dim, out, out_dim]` matrices, with
            matrix poses `[transformations, side, out, side]`. By default a truncated normal, of
            deviation 0.1 for ten output capsules and in proportion for other numbers: votes are
            first shared out evenly, so few capsules would start too long to learn.
        bias_init: Initialiser of the `[out, out_dim]` bias that the routing adds; None for none, as
            it must be with a routing that takes none.
        dtype: Compute type of the votes; routing is float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or does not fit the others, or a name is unknown.
    """

    def __init__(
        self,
        in_capsules: int,
        in_dim: int,
        out_capsules: int,
        out_dim: int,
        *,
        routing: Routing = DynamicRouting(),  # noqa: B008  frozen
        transformations: int | None = None,
        pose: str = "vector",
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        # One for each place of a feature map, so there may be more than of anything else.
        many = validation.whole(most=validation.MAX_PARAMETERS)
        transformations = in_capsules if transformations is None else transformations
        validation.check_values(
            in_capsules=(in_capsules, many),
            in_dim=(in_dim, size),
            out_capsules=(out_capsules, size),
            out_dim=(out_dim, size),
            transformations=(transformations, many),
            pose=(pose, validation.one_of(*POSES)),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
        )
        check_routing(routing)
        if bias_init is not None and not routing.takes_bias:
            raise ValueError(
                f"bias_init: must be None with routing={routing!r}, which takes no bias"
            )
        if in_capsules % transformations:
            raise ValueError(
                f"transformations={transformations}: must divide in_capsules={in_capsules}"
            )
        kernel_init = kernel_init or nnx.initializers.truncated_normal(0.01 * out_capsules)
        rows, columns = (in_dim, out_dim) if pose == "vector" else _sides(in_dim, out_dim)
        shape = (transformations, rows, out_capsules, columns)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = (
            nnx.Param(bias_init(rngs.params(), (out_capsules, out_dim), jnp.float32))
            if bias_init
            else None
        )
        self.over_places = routing.over_places
        self.averages = routing.averages
        self.routing = routing.build(Sizes(in_capsules, in_dim, out_capsules, out_dim), rngs)
        self.in_capsules = in_capsules
        self.in_dim = in_dim
        self.pose = pose
        self.dtype = dtype

    def votes(
        self, poses: Num[ArrayLike, "batch in in_dim"]
    ) -> Float[Array, "batch in out out_dim"]:
        """Predictions of each input capsule for each output capsule: u_hat of equation 2.

        Raises:
            ValueError: if the poses are not of the sizes that the layer was built for.
        """
        make = make_votes if self.pose == "vector" else make_matrix_votes
        return self._transformed(make, poses)

    def _transformed(self, make, poses):
        """Votes, or their mean, of poses that are of this layer's sizes."""
        poses, sizes = as_float(poses), (self.in_capsules, self.in_dim)
        check_axes("poses", poses, "batch in in_dim")
        # The votes themselves would take any multiple of the number of matrices.
        if poses.shape[1:] != sizes:
            raise ValueError(
                f"poses of shape {poses.shape}: must be [batch, in, in_dim] with [in, in_dim] = "
                f"{sizes}, as this layer was built"
            )
        return make(poses.astype(self.dtype), self.kernel[...].astype(self.dtype))

    def __call__(
        self,
        poses: Num[ArrayLike, "batch in in_dim"],
        activations: Num[ArrayLike, "batch in"] | None = None,
        *,
        softmax: Softmax | None = None,
        previous: Num[ArrayLike, "batch out out_dim"] | None = None,
    ) -> Routed:
        """Routes the votes of the input capsules.

        Args:
            poses: Of the input capsules.
            activations: Of the input capsules, in [0, 1]; None takes the lengths of their poses.
            softmax: Over all output capsules that compete for an input capsule, for a routing in
                which more than those of one place do; None is that over `out`.
            previous: Poses of the output capsules that an earlier pass made, for a routing that
                goes on from them; None for none.

        Returns:
            Poses `[batch, out, out_dim]`, couplings and activations of the output capsules.

        Raises:
            ValueError: if the poses are not of the sizes that the layer was built for.
        """
        given = poses, activations
        return self.vote_and_route(*given, softmax=softmax, previous=previous).with_activations()

    def vote_and_route(
        self,
        poses: Num[ArrayLike, "batch in in_dim"],
        activations: Num[ArrayLike, "batch in"] | None = None,
        *,
        softmax: Softmax | None = None,
        previous: Num[ArrayLike, "batch out out_dim"] | None = None,
        added: Num[ArrayLike, "in out_dim"] | None = None,
    ) -> Routed:
        """Routes as a call does; activations are None where they are lengths.

        Args:
            poses: See the call, as for the others.
            activations: See there.
            softmax: See there.
            previous: See there.
            added: To all votes of each input capsule; None adds nothing.
        """
        given = poses, activations, softmax, previous
        if not self.averages:
            votes = self.votes(poses)
            if added is not None:
                votes = votes + as_float(added)[:, None].astype(votes.dtype)
            return self._route(votes, *given)
        make = mean_vote if self.pose == "vector" else mean_matrix_vote
        vote = self._transformed(make, poses)[:, None]
        if added is not None:
            vote = vote + jnp.mean(as_float(added), axis=0).astype(vote.dtype)
        routed = self._route(vote, *given)
        shape = (routed.couplings.shape[0], self.in_capsules, routed.couplings.shape[2])
        couplings = jnp.broadcast_to(routed.couplings / self.in_capsules, shape)
        return routed._replace(couplings=couplings)

    def route(
        self,
        votes: Num[ArrayLike, "batch in out out_dim"],
        poses: Num[ArrayLike, "batch in in_dim"],
        activations: Num[ArrayLike, "batch in"] | None = None,
        *,
        softmax: Softmax | None = None,
        previous: Num[ArrayLike, "batch out out_dim"] | None = None,
    ) -> Routed:
        """Routes votes that are there already; activations are None where they are lengths."""
        return self._route(votes, poses, activations, softmax, previous)

    def _route(self, votes, poses, activations, softmax, previous) -> Routed:
        poses = as_float(poses)
        activations = length(poses) if activations is None else as_float(activations)
        options: dict[str, Any] = {} if self.bias is None else {"bias": self.bias[...]}
        if self.over_places:
            options["softmax"] = softmax or softmax_over_out
        if previous is not None:
            options["previous"] = previous
        return self.routing(votes, Capsules(poses, activations), **options)


def _sides(in_dim: int, out_dim: int) -> tuple[int, int]:
    side = math.isqrt(in_dim)
    if side * side != in_dim or out_dim != in_dim:
        raise ValueError(
            f"in_dim={in_dim}, out_dim={out_dim}: matrix poses are square and of one size, so both "
            "must be the same square number, such as 16"
        )
    return side, side
