"""Reconstruction of the image from the vector that a network has of one class.

A decoder is a frozen dataclass that derives from `Decoder`, so that a configuration holds it and a
command line chooses it; it builds the module that decodes.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import alike, check_axes, flatten
from cnn.convolution import Convolution

Initializer = Callable[..., jax.Array]
# Each map is twice as large as the one before, and images have at most 2^16 pixels along a side.
MAX_MAPS = 16


class Initializers(NamedTuple):
    """Initialisers of a decoder's layers.

    Attributes:
        hidden: Of the kernels that a ReLU follows.
        last: Of that of the pixels.
        bias: Of all biases.
    """

    hidden: Initializer
    last: Initializer
    bias: Initializer


@dataclasses.dataclass(frozen=True)
class Decoder:
    """A decoder, as a configuration describes it; subclasses make the module."""

    def build(
        self,
        classes: int,
        dim: int,
        image_shape: tuple[int, int, int],
        *,
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ) -> "Reconstructor":
        """Creates the module, from the vectors of all classes to the image of one of them.

        Args:
            classes: Number of vectors.
            dim: Components of each.
            image_shape: Height, width and channels of the decoded image.
            kernel_init: Initialiser of the kernels; by default He's for the layers with a ReLU and
                LeCun's for the pixels.
            bias_init: Initialiser of the biases; by default they are zero.
            dtype: Compute type; the pixels are float32.
            rngs: Source of the initial values.

        Raises:
            ValueError: if a size is below 1, the type is unknown, or a field has a value that no
                decoder can have.
        """
        size = validation.whole()
        validation.check_shape(image_shape)
        validation.check_values(
            classes=(classes, size),
            dim=(dim, size),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
        )
        self.check()
        initializers = Initializers(
            kernel_init or nnx.initializers.he_normal(),
            kernel_init or nnx.initializers.lecun_normal(),
            bias_init or nnx.initializers.zeros_init(),
        )
        return self._make(classes * dim, image_shape, initializers, dtype, rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a field that no decoder can have."""

    def _make(
        self,
        features: int,
        image_shape: tuple[int, int, int],
        initializers: Initializers,
        dtype: str,
        rngs: nnx.Rngs,
    ) -> "Reconstructor":
        """The module, from all components of all vectors."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class DenseDecoder(Decoder):
    """Fully connected layers: section 4.1 and figure 2 of Sabour, Frosst and Hinton (2017).

    With the defaults 1,411,344 parameters for ten classes of 16 components and 28x28 grey images.

    Attributes:
        widths: Of the hidden layers, each with a ReLU.
    """

    widths: tuple[int, ...] = (512, 1024)

    def check(self) -> None:
        """Raises a `ValueError` for a field that no decoder can have."""
        validation.check(self, widths=validation.each(validation.whole()))

    def _make(self, features, image_shape, initializers, dtype, rngs):
        sizes = (features, *self.widths, math.prod(image_shape))
        kernel_inits = [initializers.hidden] * len(self.widths) + [initializers.last]
        layers = [
            nnx.Linear(
                sizes[layer],
                sizes[layer + 1],
                kernel_init=kernel_init,
                bias_init=initializers.bias,
                dtype=jnp.dtype(dtype),
                rngs=rngs,
            )
            for layer, kernel_init in enumerate(kernel_inits)
        ]
        return DenseReconstructor(layers, image_shape)


@dataclasses.dataclass(frozen=True)
class DeconvolutionDecoder(Decoder):
    """A dense layer to a small map, and convolutions of maps that are each twice as large.

    A map is enlarged by repeating its pixels and then convolved, which leaves no checkerboards
    behind as transposed convolutions do (Odena, Dumoulin and Olah, "Deconvolution and checkerboard
    artifacts", 2016). Sizes are halved from that of the image, rounded up, so that images may be of
    any size. With the defaults 266,465 parameters for ten classes of 16 components and 28x28 grey
    images, whose small map is 7x7.

    Attributes:
        channels: Of the small map and of each larger one, the last of which is as large as the
            image; all with a ReLU.
        kernel_size: Of the convolutions, in pixels.
    """

    channels: tuple[int, ...] = (32, 32, 16)
    kernel_size: int = 3

    def check(self) -> None:
        """Raises a `ValueError` for a field that no decoder can have."""
        size = validation.whole()
        channels = validation.each(size, least=1, most=MAX_MAPS)
        validation.check(self, channels=channels, kernel_size=size)

    def sizes(self, image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
        """Heights and widths of the maps, from the smallest to that of the image."""
        height, width, _ = image_shape
        halvings = reversed(range(len(self.channels)))
        return [(-(-height // 2**times), -(-width // 2**times)) for times in halvings]

    def _make(self, features, image_shape, initializers, dtype, rngs):
        sizes, channels = self.sizes(image_shape), (*self.channels, image_shape[-1])
        dense = nnx.Linear(
            features,
            math.prod(sizes[0]) * channels[0],
            kernel_init=initializers.hidden,
            bias_init=initializers.bias,
            dtype=jnp.dtype(dtype),
            rngs=rngs,
        )
        kernel_inits = [initializers.hidden] * (len(sizes) - 1) + [initializers.last]
        convolutions = [
            Convolution(
                channels[layer],
                channels[layer + 1],
                self.kernel_size,
                padding="SAME",
                kernel_init=kernel_init,
                bias_init=initializers.bias,
                dtype=dtype,
                rngs=rngs,
            )
            for layer, kernel_init in enumerate(kernel_inits)
        ]
        return DeconvolutionReconstructor(dense, convolutions, sizes, image_shape)


def check_decoder(decoder: object) -> None:
    """Checks what a configuration was given as its decoder.

    Raises:
        ValueError: if it is no decoder, or has a field that no decoder has.
    """
    validation.check_part("decoder", decoder, Decoder)


class Reconstructor(nnx.Module):
    """Network from the vectors of all classes, but one of them masked, to an image.

    A subclass has `_pixels`, from the vectors to the image before its sigmoid.

    Args:
        image_shape: Height, width and channels of the decoded image.
    """

    def __init__(self, image_shape: tuple[int, int, int]):
        self.image_shape = image_shape

    def __call__(
        self,
        vectors: Num[ArrayLike, "batch classes dim"],
        mask: Num[ArrayLike, "..."],
    ) -> Float[Array, "batch height width channels"]:
        """Decodes the vectors that the mask keeps (1) and blanks (0); pixels are in (0, 1).

        Args:
            vectors: Of all classes.
            mask: `[batch, classes]`.

        Raises:
            ValueError: if the mask has another shape.
        """
        vectors, mask = alike(vectors, mask)
        check_axes("vectors", vectors, "batch classes dim")
        if mask.shape != vectors.shape[:2]:
            raise ValueError(
                f"mask of shape {mask.shape}: must be [batch, classes] = {vectors.shape[:2]}"
            )
        pixels = nnx.sigmoid(self._pixels(flatten(vectors * mask[..., None])).astype(jnp.float32))
        return pixels.reshape(pixels.shape[0], *self.image_shape)

    def _pixels(self, vectors: Float[Array, "batch features"]) -> Float[Array, "batch ..."]:
        raise NotImplementedError


class DenseReconstructor(Reconstructor):
    """Fully connected layers from vectors to pixels, with ReLU between.

    Args:
        layers: From the first to that of the pixels.
        image_shape: Height, width and channels of the decoded image.
    """

    def __init__(self, layers: Sequence[nnx.Linear], image_shape: tuple[int, int, int]):
        super().__init__(image_shape)
        self.layers = nnx.List(layers)

    def _pixels(self, vectors):
        for layer in list(self.layers)[:-1]:
            vectors = nnx.relu(layer(vectors))
        return self.layers[-1](vectors)


class DeconvolutionReconstructor(Reconstructor):
    """A dense layer to a small map, and convolutions of ever larger ones, with ReLU between.

    Args:
        dense: From vectors to the small map.
        convolutions: From each map to the next, and from the last to the pixels.
        sizes: Heights and widths of the maps.
        image_shape: Height, width and channels of the decoded image.
    """

    def __init__(
        self,
        dense: nnx.Linear,
        convolutions: Sequence[Convolution],
        sizes: Sequence[tuple[int, int]],
        image_shape: tuple[int, int, int],
    ):
        super().__init__(image_shape)
        self.dense = dense
        self.convolutions = nnx.List(convolutions)
        self.sizes = tuple(sizes)

    def _pixels(self, vectors):
        hidden = nnx.relu(self.dense(vectors))
        channels = hidden.shape[1] // math.prod(self.sizes[0])
        maps = hidden.reshape(hidden.shape[0], *self.sizes[0], channels)
        *between, last = self.convolutions
        for convolution, size in zip(between, self.sizes[1:], strict=True):
            maps = nnx.relu(convolution(doubled(maps, size)))
        return last(maps)


def doubled(
    maps: Float[Array, "batch height width channels"], size: tuple[int, int]
) -> Float[Array, "batch out_height out_width channels"]:
    """Maps with each pixel repeated along both sides, cut to a size that is at most twice theirs.

    Args:
        maps: What to enlarge.
        size: Height and width of the result.
    """
    height, width = size
    return jnp.repeat(jnp.repeat(maps, 2, axis=1), 2, axis=2)[:, :height, :width]
