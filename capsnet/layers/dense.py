"""Fully connected capsules, routed: from primary capsules to those of the classes."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers.initializers import Initializer
from capsnet.routing import Routing, dynamic_routing
from capsnet.votes import make_votes
from cnn import validation
from cnn.arrays import as_float


class ClassCapsules(nnx.Module):
    """Fully connected capsules: a matrix for each pair of input and output capsule, then routing.

    Equation 2 and procedure 1 of Sabour, Frosst and Hinton (2017).

    Args:
        in_capsules: Number of input capsules.
        in_dim: Components of an input capsule.
        out_capsules: Number of output capsules, usually the classes.
        out_dim: Components of an output capsule.
        routing: A function of votes (and `bias=` when `bias_init` is given) to a `Routing`.
        kernel_init: Initialiser of the `[in, in_dim, out, out_dim]` matrices. By default a
            truncated normal, of deviation 0.1 for ten output capsules and in proportion for other
            numbers: votes are first shared out evenly, so few capsules would start too long to
            learn.
        bias_init: Initialiser of the `[out, out_dim]` bias; None for no bias.
        dtype: Compute type of the votes; routing is float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or the type is unknown.
    """

    def __init__(
        self,
        in_capsules: int,
        in_dim: int,
        out_capsules: int,
        out_dim: int,
        *,
        routing: Callable[..., Routing] = dynamic_routing,
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(
            # One for each place of a feature map, so there may be more than of anything else.
            in_capsules=(in_capsules, validation.whole(most=validation.MAX_PARAMETERS)),
            in_dim=(in_dim, size),
            out_capsules=(out_capsules, size),
            out_dim=(out_dim, size),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
        )
        kernel_init = kernel_init or nnx.initializers.truncated_normal(0.01 * out_capsules)
        shape = (in_capsules, in_dim, out_capsules, out_dim)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = (
            nnx.Param(bias_init(rngs.params(), (out_capsules, out_dim), jnp.float32))
            if bias_init
            else None
        )
        self.routing = routing
        self.dtype = dtype

    def votes(
        self, capsules: Num[ArrayLike, "batch in in_dim"]
    ) -> Float[Array, "batch in out out_dim"]:
        """Predictions of each input capsule for each output capsule: u_hat of equation 2."""
        return make_votes(
            as_float(capsules).astype(self.dtype), self.kernel[...].astype(self.dtype)
        )

    def __call__(self, capsules: Num[ArrayLike, "batch in in_dim"]) -> Routing:
        """Routes the votes of the input capsules; poses are `[batch, out, out_dim]`."""
        return self.route(self.votes(capsules))

    def route(self, votes: Num[ArrayLike, "batch in out out_dim"]) -> Routing:
        """Routes votes, with the layer's bias."""
        routing = self.routing
        if self.bias is not None:
            routing = functools.partial(routing, bias=self.bias[...])
        return routing(votes)
