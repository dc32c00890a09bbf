"""The polar transformer network of Esteves et al. (2018).

A network predicts an origin as the centroid of a heat map, the image is read in log-polar
coordinates about it, and a fully convolutional classifier with padding that wraps along the angles
reads the map. So predictions hardly change with translations, which move the origin, with
rotations, which roll the map, and with scalings, which shift it. Widths and strides are those of
the authors' code, and so are the biases of convolutions that a normalisation follows.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images, flatten
from cnn.backbones import check_one_stride_for_each
from cnn.convolution import Convolution
from cnn.losses import classification_loss
from cnn.output import Output, Warp
from equivariant.polar import centroid, check_radius, log_polar, log_polar_grid, pad_angles

_ORIGIN_STRIDES = (2, 1, 1)
_SMALLEST = 2


@dataclasses.dataclass
class PolarNetworkConfig:
    """Architecture of a `PolarNetwork`.

    Attributes:
        channels: Of the classifier's convolutions.
        strides: Of each of them, in pixels.
        origin_channels: Of the three convolutions that the heat map is read from.
        max_radius: The largest radius that is read, as a share of the image's longer side, in
            (0, 1]; 1 / sqrt(2) reaches the corners of a square.
        origin_jitter: In training the origin is moved by up to so many pixels along each axis.
    """

    channels: tuple[int, ...] = (16, 16, 32, 32, 32, 64, 64, 64)
    strides: tuple[int, ...] = (1, 1, 2, 1, 1, 2, 1, 1)
    origin_channels: int = 20
    max_radius: float = 0.7071
    # The 4 of the authors' code are halves of pixels, for it adds 4 / width to coordinates that
    # are 2 apart from edge to edge.
    origin_jitter: float = 2.0

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "PolarNetwork":
        """Creates the network for images of (height, width, channels)."""
        return PolarNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        validation.check(
            self,
            channels=validation.each(size, least=1),
            strides=validation.each(size),
            origin_channels=size,
            max_radius=validation.number(0.0, 1.0, beyond=True),
            origin_jitter=validation.number(0.0, float(validation.MAX_SIZE)),
        )
        check_one_stride_for_each(self.strides, self.channels)


def large() -> PolarNetworkConfig:
    """The network for rotated MNIST: 131,959 parameters on grey images and 10 classes."""
    return PolarNetworkConfig()


def small() -> PolarNetworkConfig:
    """The smaller one, with 20 channels in each of six layers."""
    return PolarNetworkConfig((20,) * 6, (1, 2, 1, 1, 1, 1))


class NormalisedConvolution(nnx.Module):
    """A 3x3 convolution, batch normalisation and a ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: In pixels.
        padding: See `cnn.Convolution`.
        rngs: Source of the initial values.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, padding: str, *, rngs: nnx.Rngs
    ):
        self.convolution = Convolution(
            in_channels, out_channels, 3, strides=stride, padding=padding, rngs=rngs
        )
        self.norm = nnx.BatchNorm(out_channels, momentum=0.9, rngs=rngs)

    def __call__(
        self, features: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Features of the next layer."""
        return nnx.relu(self.norm(self.convolution(features)))


class PolarOrigin(nnx.Module):
    """The origin of each image: three convolutions, a 1x1 convolution, the heat map's centroid.

    The heat map starts as a constant, so that the origin starts in the image's middle.

    Args:
        in_channels: Channels of the images.
        channels: Of the convolutions.
        jitter: The origin's largest move along either axis in training, in pixels.
        rngs: Source of the initial values and of the moves.
    """

    def __init__(self, in_channels: int, channels: int, *, jitter: float, rngs: nnx.Rngs):
        sizes = zip((in_channels, channels, channels), _ORIGIN_STRIDES, strict=True)
        self.layers = nnx.List(
            NormalisedConvolution(size, channels, stride, "SAME", rngs=rngs)
            for size, stride in sizes
        )
        zeros, ones = nnx.initializers.zeros_init(), nnx.initializers.ones_init()
        self.heat = Convolution(channels, 1, 1, kernel_init=zeros, bias_init=ones, rngs=rngs)
        self.jitter, self.deterministic = jitter, False
        # One stream, for whatever name `Rngs` is asked for it has, so also for that of a method.
        self.moves = rngs["moves"].fork()

    def set_view(self, deterministic: bool | None = None) -> None:
        """Takes the moves away, or brings them back; `flax.nnx.view` calls it."""
        if deterministic is not None:
            self.deterministic = deterministic

    def heat_map(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch map_height map_width"]:
        """The heat map, at half the size, rounded up."""
        features = images
        for layer in self.layers:
            features = layer(features)
        return self.heat(features)[..., 0]

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch 2"]:
        """Origins (x, y), normalised to [-1, 1] from edge to edge of the image."""
        origins = centroid(self.heat_map(images))
        if self.deterministic or not self.jitter:
            return origins
        moves = jax.random.uniform(
            self.moves(), origins.shape, origins.dtype, -self.jitter, self.jitter
        )
        height, width = images.shape[1:3]
        return origins + 2.0 * moves / jnp.asarray((width, height), origins.dtype)


class PolarNetwork(nnx.Module):
    """A predicted origin, a log-polar map of the image's size, a classifier with wrapped angles.

    Rolling the map along its angles by the product of the strides rolls every layer, and the mean
    over all places, which the logits are, does not change. So it is with the image's rotation
    where the origin goes with the image.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the moves of the origin.

    Raises:
        ValueError: if the images are too small or a field has a value that no network can have.
    """

    def __init__(
        self,
        config: PolarNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, _SMALLEST, "a log-polar map")
        check_radius(config.max_radius, image_shape[:2])
        self.image_shape, self.max_radius = image_shape, config.max_radius
        self.origin = PolarOrigin(
            image_shape[-1], config.origin_channels, jitter=config.origin_jitter, rngs=rngs
        )
        widths = (image_shape[-1], *config.channels[:-1])
        sizes = zip(widths, config.channels, config.strides, strict=True)
        self.layers = nnx.List(NormalisedConvolution(*layer, "VALID", rngs=rngs) for layer in sizes)
        self.classifier = Convolution(config.channels[-1], num_classes, 3, rngs=rngs)

    def _polar(self, images):
        size = images.shape[1:3]
        grids = log_polar_grid(self.origin(images), size, size, max_radius=self.max_radius)
        return log_polar(images, grids), grids

    def _maps(self, polar):
        """The feature map behind each layer, by name, in their order."""
        found = {"polar map": polar}
        features = polar
        for number, layer in enumerate(self.layers, start=1):
            features = found[f"convolution {number}"] = layer(pad_angles(features))
        return found, features

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The log-polar map, and the feature map behind every convolution of the classifier.

        Names are "polar map" and "convolution N". The images may be of any size that fits.
        """
        return self._maps(self._polar(as_images(images))[0])[0]

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the last hidden layer."""
        polar, grids = self._polar(as_images(images, self.image_shape))
        _, features = self._maps(polar)
        logits = jnp.mean(self.classifier(pad_angles(features)), axis=(1, 2))
        return Output(logits, features=flatten(features), warp=Warp(polar[:, None], grids[:, None]))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
