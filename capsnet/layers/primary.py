"""Primary capsules: from a feature map to capsules."""

import math

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers.initializers import Initializer
from capsnet.vectors import squash
from cnn import Convolution, validation


class PrimaryCapsules(nnx.Module):
    """Convolution whose neighbouring output channels form capsules, squashed, without a ReLU.

    Section 4 of Sabour, Frosst and Hinton (2017).

    Args:
        in_channels: Channels of the feature map.
        types: Capsule types, that is capsules per position.
        dim: Components of a capsule.
        kernel_size: Of the convolution, in pixels.
        strides: Of the convolution, in pixels.
        coupling: Factor on the convolution's output before its bias. The authors' released code
            sends this layer through one routing iteration too, which amounts to 1 / types.
        kernel_init: Initialiser of the kernel.
        bias_init: Initialiser of the bias.
        dtype: Compute type of the convolution; the squash is float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        types: int,
        dim: int,
        *,
        kernel_size: int = 9,
        strides: int = 2,
        coupling: float = 1.0,
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(types=(types, size), dim=(dim, size))
        self.convolution = Convolution(
            in_channels,
            types * dim,
            kernel_size,
            strides=strides,
            use_bias=False,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
        bias_init = bias_init or nnx.initializers.zeros_init()
        self.bias = nnx.Param(bias_init(rngs.params(), (types * dim,), jnp.float32))
        self.dim = dim
        self.coupling = coupling

    def __call__(
        self, features: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch capsules dim"]:
        """Returns float32 capsules ordered by row, column, type."""
        outputs = self._outputs(features)
        capsules = math.prod(outputs.shape[1:]) // self.dim
        return squash(outputs.reshape(outputs.shape[0], capsules, self.dim))

    def map(
        self, features: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """The capsules where they are, those of a place one after another."""
        outputs = self._outputs(features)
        types = outputs.shape[3] // self.dim
        capsules = outputs.reshape(*outputs.shape[:3], types, self.dim)
        return squash(capsules).reshape(outputs.shape)

    def _outputs(self, features):
        # NHWC: the last axis holds `types` runs of `dim` neighbouring channels, one run a capsule.
        outputs = self.convolution(features).astype(jnp.float32)
        return outputs * self.coupling + self.bias[...]
