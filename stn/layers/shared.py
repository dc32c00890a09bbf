"""A spatial transformer of the input that is steered by the classifier's own first layers.

Finnveden, Jansson and Lindeberg (2020), arXiv 2004.11678: deep features predict a pose better than
pixels do, but warping the feature maps cannot undo a warp of the input. So the shared layers run
twice: on the image, for the prediction, and then on the warped image, for the classifier.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float
from stn.layers.transformer import SpatialTransformer


class SharedLayersTransformed(NamedTuple):
    """A batch of images warped by a transformer with shared layers, and their features.

    Attributes:
        features: The shared layers' output for the warped images; the classifier goes on from it.
        images: The warped images.
        theta: The transform's parameters, as predicted.
        grid: Where each pixel of the warped images was read.
    """

    features: Float[Array, "batch *features"]
    images: Float[Array, "batch out_height out_width channels"]
    theta: Float[Array, "batch parameters"]
    grid: Float[Array, "batch out_height out_width 2"]


class SharedLayersTransformer(nnx.Module):
    """The first layers of a classifier, and a transformer that reads its warp off their features.

    The layers' weights learn from both passes. Layers with a state of their own, such as dropout,
    run twice a call and draw anew each time.

    Args:
        layers: The shared layers, from images to features. They belong to this module: the
            classifier takes their output from here and holds no second reference to them.
        transformer: Warps the images; its localisation network is given the features instead of
            the images. Both passes go through `layers`, which must take the output size too.
    """

    def __init__(
        self,
        layers: Callable[[Float[Array, "batch height width channels"]], Float[Array, "batch ..."]],
        transformer: SpatialTransformer,
    ):
        self.layers = layers
        self.transformer = transformer

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> SharedLayersTransformed:
        """features(warp(images, theta(features(images))))."""
        images = as_float(images)
        theta = self.transformer.predict(self.layers(images))
        warped = self.transformer.warp(images, theta)
        return SharedLayersTransformed(self.layers(warped.images), *warped)
