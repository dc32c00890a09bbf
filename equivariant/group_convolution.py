"""Convolutions over groups of motions, each as one ordinary convolution with expanded filters.

A map over a group has a value for every place x, element h of the group and channel:
`[batch, height, width, elements, channels]`. Turning the image turns such a map and permutes its
elements, and the convolutions keep it so (Cohen and Welling, 2016, equations 10 and 11; both are
correlations, as usual in deep learning):

    lifting, of an image f:    (f * psi)(x, g) = sum_y sum_i f_i(y) psi_i(g^-1 (y - x))
    of a map f over a group:   (f * psi)(x, g) = sum_y sum_h sum_i f_i(y, h) psi_i(g^-1 (y - x),
                                                                                   g^-1 h)

For every g the filter on the right is psi turned by g, with its elements permuted. All of them,
side by side as output channels, are the kernel of one convolution, which is cheap to make: it does
not depend on the batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn import validation
from cnn.arrays import as_images
from cnn.convolution import LOWERINGS, convolve
from equivariant.filters import oriented_basis
from equivariant.groups import Group, left_quotients
from equivariant.maps import as_maps, flatten_elements


def expand_filters(
    weights: Float[Array, "weights in_elements in_channels out_channels"],
    basis: Float[ArrayLike, "elements height width weights"],
    quotients: Int[np.ndarray, "elements in_elements"],
) -> Float[Array, "height width inputs outputs"]:
    """Makes the kernel of an ordinary convolution of the filters turned by every element.

    Args:
        weights: Of the filters.
        basis: See `equivariant.filters.oriented_basis`.
        quotients: `[elements, in_elements]`, numbers of the in_elements g^-1 h.

    Returns:
        The kernel; inputs are elements times channels, outputs likewise, elements first.
    """
    elements, height, width, _ = np.shape(basis)
    _, in_elements, in_channels, out_channels = weights.shape
    # Of one type in every mode: JAX keeps what it made of a NumPy array in another.
    permuted = weights[:, jnp.asarray(quotients, jnp.int32)]
    # The highest precision, for a permutation of pixels should be exact on every device.
    kernel = jnp.einsum("gyxw,wghio->yxhigo", basis, permuted, precision=lax.Precision.HIGHEST)
    return kernel.reshape(height, width, in_elements * in_channels, elements * out_channels)


class OrientedConvolution(nnx.Module):
    """The filters of both kinds of convolution, and their use.

    A subclass says which elements its inputs have.

    Args:
        group: Acts on the filters.
        in_channels: Channels of the input, of each of its elements.
        out_channels: Channels of the output, of each element of the group.
        kernel_size: Height and width of the filters, in pixels.
        padding: "VALID" or "SAME"; both keep the symmetry.
        use_bias: Whether a bias is added to every output channel, the same for all elements.
        kernel_init: Initialiser of the weights, `[weights, in_elements, in_channels,
            out_channels]`; see `equivariant.filters`.
        lowering: See `cnn.convolve`.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1, or too small for the group, or a name is unknown.
    """

    def __init__(
        self,
        group: Group,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        padding: str = "VALID",
        use_bias: bool = True,
        kernel_init: Callable[..., jax.Array] | None = None,
        lowering: str = "auto",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(
            in_channels=(in_channels, size),
            out_channels=(out_channels, size),
            kernel_size=(kernel_size, validation.whole(most=validation.MAX_UNROLLED)),
            padding=(padding, validation.one_of("SAME", "VALID")),
            lowering=(lowering, validation.one_of(*LOWERINGS)),
        )
        self.group, self.kernel_size = group, kernel_size
        self.padding, self.lowering = padding, lowering
        weights = oriented_basis(group, kernel_size).shape[-1]
        kernel_init = kernel_init or nnx.initializers.he_normal(in_axis=(0, 1, 2), out_axis=3)
        shape = (weights, self._quotients().shape[1], in_channels, out_channels)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if use_bias else None

    def _quotients(self) -> Int[np.ndarray, "elements in_elements"]:
        """See `expand_filters`."""
        raise NotImplementedError

    def _convolve(
        self, inputs: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch out_height out_width elements out_channels"]:
        basis = jnp.asarray(oriented_basis(self.group, self.kernel_size), jnp.float32)
        kernel = expand_filters(self.kernel[...], basis, self._quotients())
        outputs = convolve(inputs, kernel, padding=self.padding, lowering=self.lowering)
        if self.bias is not None:
            outputs = outputs + jnp.tile(self.bias[...], self.group.size)
        return outputs.reshape(*outputs.shape[:3], self.group.size, self.kernel.shape[-1])


class LiftingConvolution(OrientedConvolution):
    """The first convolution: from images to maps over a group; see `OrientedConvolution`."""

    def _quotients(self) -> Int[np.ndarray, "elements 1"]:
        return np.zeros((self.group.size, 1), int)

    def __call__(
        self, images: Num[ArrayLike, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width elements out_channels"]:
        """Convolves images with the filters turned by every element."""
        return self._convolve(as_images(images))


class GroupConvolution(OrientedConvolution):
    """A convolution from maps over a group to such maps; see `OrientedConvolution`."""

    def _quotients(self) -> Int[np.ndarray, "elements elements"]:
        return left_quotients(self.group)

    def __call__(
        self, maps: Num[ArrayLike, "batch height width elements in_channels"]
    ) -> Float[Array, "batch out_height out_width elements out_channels"]:
        """Convolves maps with the filters turned by every element, which permutes elements too.

        Raises:
            ValueError: if the maps have not as many elements as the group.
        """
        return self._convolve(flatten_elements(as_maps(maps, self.group)))
