"""A dense layer that a ReLU follows."""

import jax.numpy as jnp
from flax import nnx


def dense(
    in_features: int, out_features: int, *, dtype: str = "float32", rngs: nnx.Rngs
) -> nnx.Linear:
    """A linear layer with the initial values of He et al. (2015).

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        dtype: Type of the arithmetic and of the output; parameters are float32.
        rngs: Source of the initial values.
    """
    return nnx.Linear(
        in_features,
        out_features,
        kernel_init=nnx.initializers.he_normal(),
        dtype=jnp.dtype(dtype),
        rngs=rngs,
    )
