"""Localisation networks: from an image to the features that a transform is read off.

Section 3.1 of Jaderberg et al. (2015); the sizes are those of its MNIST experiments. A
localisation network is any module from images to `[batch, features]` with the number of its
features; the regression to the transform's parameters belongs to `SpatialTransformer`.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import Convolution, dense, pool, validation
from cnn.arrays import as_images, flatten
from stn.sampling.grids import identity_grid


@runtime_checkable
class Localisation(Protocol):
    """Interface of a localisation network, as a `SpatialTransformer` needs it."""

    num_features: int

    def __call__(
        self, images: Num[ArrayLike, "batch *spatial channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each image."""
        ...


class DenseLocalisation(nnx.Module):
    """Dense layers with ReLU; the paper's for fully connected classifiers has 3 of 32 units.

    Args:
        image_shape: Height, width and channels of the images.
        widths: Of the layers.
        rngs: Source of the initial values.

    Raises:
        ValueError: if there is no layer, or a size is below 1.
    """

    smallest_side = 1

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        widths: Sequence[int] = (32, 32, 32),
        rngs: nnx.Rngs,
    ):
        validation.check_shape(image_shape)
        every_width = validation.each(validation.whole(), least=1)
        validation.check_values(widths=(tuple(widths), every_width))
        self.image_shape = image_shape
        height, width, channels = image_shape
        sizes = (height * width * channels, *widths)
        self.layers = nnx.List(
            dense(sizes[layer], sizes[layer + 1], rngs=rngs) for layer in range(len(widths))
        )
        self.num_features = sizes[-1]

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each image."""
        features = flatten(as_images(images, self.image_shape))
        for layer in self.layers:
            features = nnx.relu(layer(features))
        return features


class ConvolutionalLocalisation(nnx.Module):
    """Two convolutions and a dense layer on the image at half its size.

    The paper's for convolutional classifiers: average pooling by 2, 5x5 convolution, max pooling
    by 2, 5x5 convolution, dense layer, each of 20 units, ReLU between them.

    Args:
        image_shape: Height, width and channels of the images.
        channels: Of both convolutions.
        num_features: Of the dense layer.
        coordinates: Whether the image is given two more channels, its x and y coordinates (Liu et
            al., 2018), which tell a convolution where it is.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers, or a size is below 1.
    """

    smallest_side = 28

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: int = 20,
        num_features: int = 20,
        coordinates: bool = False,
        rngs: nnx.Rngs,
    ):
        validation.check_shape(image_shape)
        size = validation.whole()
        validation.check_values(channels=(channels, size), num_features=(num_features, size))
        layers = "the localisation network's poolings and 5x5 convolutions"
        validation.check_side(image_shape, self.smallest_side, layers)
        self.image_shape, self.coordinates = image_shape, coordinates
        in_channels = image_shape[-1] + 2 * coordinates
        self.first = Convolution(in_channels, channels, 5, rngs=rngs)
        self.second = Convolution(channels, channels, 5, rngs=rngs)
        features = jax.eval_shape(self._convolve, jnp.zeros((1, *image_shape)))
        self.dense = dense(features.size, num_features, rngs=rngs)
        self.num_features = num_features

    def _convolve(self, images):
        images = as_images(images, self.image_shape)
        if self.coordinates:
            points = jnp.asarray(identity_grid(images.shape[1:3]), images.dtype)
            points = jnp.broadcast_to(points, (images.shape[0], *points.shape))
            images = jnp.concatenate([images, points], axis=-1)
        features = nnx.relu(self.first(pool(images, "average2")))
        features = nnx.relu(self.second(pool(features, "max2")))
        return flatten(features)

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each image."""
        return nnx.relu(self.dense(self._convolve(images)))
