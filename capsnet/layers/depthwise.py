"""Primary capsules by a depthwise convolution: each channel of a map becomes one component."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers.initializers import Initializer
from capsnet.vectors import exponential_squash
from cnn import validation
from cnn.arrays import as_float, check_axes


class DepthwiseCapsules(nnx.Module):
    """Depthwise convolution as large as the map, whose neighbouring channels form capsules.

    Section 3.1 of Mazzia, Salvetti and Chiaberge (2021): a kernel for each channel, no ReLU, and
    the exponential squash.

    Args:
        channels: Of the feature map; a multiple of `dim`.
        dim: Components of a capsule.
        kernel_size: Height and width of the map, in pixels.
        kernel_init: Initialiser of the `[height, width, 1, channels]` kernel; by default LeCun's,
            as no ReLU follows.
        bias_init: Initialiser of the bias.
        dtype: Compute type of the products; their sums and the squash are float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or does not fit the others, or a name is unknown.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        kernel_size: Sequence[int],
        *,
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(
            channels=(channels, size),
            dim=(dim, size),
            kernel_size=(kernel_size, validation.each(size, least=2, most=2)),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
        )
        if channels % dim:
            raise ValueError(f"dim={dim}: must divide channels={channels}")
        kernel_init = kernel_init or nnx.initializers.lecun_normal()
        bias_init = bias_init or nnx.initializers.zeros_init()
        shape = (*kernel_size, 1, channels)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(bias_init(rngs.params(), (channels,), jnp.float32))
        self.dim = dim
        self.dtype = dtype

    def __call__(
        self, features: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch capsules dim"]:
        """Returns float32 capsules, in the order of their channels.

        Raises:
            ValueError: if the map has not the shape of the kernel.
        """
        features = as_float(features)
        check_axes("features", features, "batch height width channels")
        kernel = self.kernel[:, :, 0]
        if features.shape[1:] != kernel.shape:
            raise ValueError(
                f"features of shape {features.shape}: must be [batch, height, width, channels] "
                f"with {kernel.shape} behind the batch, as the kernel has"
            )
        # XLA takes a hundred times as long for the gradient of a grouped convolution on CPUs.
        products = features.astype(self.dtype) * kernel.astype(self.dtype)
        outputs = jnp.sum(products, axis=(1, 2), dtype=jnp.float32)
        return self._capsules(outputs)

    def map(
        self, features: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """The capsules at every place of a larger map, their components one after another."""
        features = as_float(features).astype(self.dtype)
        outputs = lax.conv_general_dilated(
            features,
            self.kernel[...].astype(self.dtype),
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=features.shape[3],
            preferred_element_type=jnp.float32,
        )
        return self._capsules(outputs).reshape(outputs.shape)

    def _capsules(self, outputs):
        outputs = outputs + self.bias[...]
        capsules = outputs.shape[-1] // self.dim
        return exponential_squash(outputs.reshape(*outputs.shape[:-1], capsules, self.dim))
