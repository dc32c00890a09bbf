"""A dense layer that a ReLU follows."""

import jax.numpy as jnp
from flax import nnx

from cnn import validation


def dense(
    in_features: int, out_features: int, *, dtype: str = "float32", rngs: nnx.Rngs
) -> nnx.Linear:
    """A linear layer with the initial values of He et al. (2015).

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        dtype: Type of the arithmetic and of the output; parameters are float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a width is below 1 or the type is unknown.
    """
    # Every pixel of an image may be an input, so there may be more than of anything else.
    validation.check_values(
        in_features=(in_features, validation.whole(most=validation.MAX_PARAMETERS)),
        out_features=(out_features, validation.whole()),
        dtype=(dtype, validation.one_of(*validation.DTYPES)),
    )
    return nnx.Linear(
        in_features,
        out_features,
        kernel_init=nnx.initializers.he_normal(),
        dtype=jnp.dtype(dtype),
        rngs=rngs,
    )
