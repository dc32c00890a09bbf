"""Efficient-CapsNet: a small capsule network with self-attention routing.

Mazzia, Salvetti and Chiaberge, "Efficient-CapsNet: capsule network with self-attention routing"
(2021).
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers import DenseCapsules, DepthwiseCapsules
from capsnet.networks.classifier import CapsuleClassifier
from capsnet.routing import Routing, SelfAttentionRouting
from capsnet.routing.base import check_class_routing
from cnn import Convolution, validation
from cnn.arrays import as_float
from cnn.decoder import Decoder, DenseDecoder, check_decoder


@dataclasses.dataclass
class EfficientCapsNetConfig:
    """Architecture and loss of an `EfficientCapsNet`.

    The defaults are the paper's on MNIST: 161,824 parameters on 28x28 grey images and 10 classes,
    and 1,411,344 of the decoder.

    Attributes:
        channels: Of each convolution; those of the last become the components of the primary
            capsules.
        kernel_sizes: Height and width of each convolution's kernel, in pixels.
        strides: Of each convolution, in pixels.
        primary_dim: Components of a primary capsule; a divisor of the last of the channels.
        class_dim: Components of a class capsule.
        routing: From primary to class capsules.
        reconstruction_weight: Weight of the summed squared pixel error against the margin loss;
            0 leaves the decoder out.
        decoder: From the class capsules to the image.
        dtype: Compute type of convolutions, votes and decoder, "float32" or "bfloat16";
            statistics of batch normalisation, squash, routing and losses stay in float32.
    """

    channels: tuple[int, ...] = (32, 64, 64, 128)
    kernel_sizes: tuple[int, ...] = (5, 3, 3, 3)
    strides: tuple[int, ...] = (1, 1, 1, 2)
    primary_dim: int = 8
    class_dim: int = 16
    routing: Routing = dataclasses.field(default_factory=SelfAttentionRouting)
    reconstruction_weight: float = 0.0005
    decoder: Decoder = dataclasses.field(default_factory=DenseDecoder)
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "EfficientCapsNet":
        """Creates the network for images of (height, width, channels)."""
        return EfficientCapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        sizes = validation.each(size, least=1)
        validation.check(
            self,
            channels=sizes,
            kernel_sizes=sizes,
            strides=sizes,
            primary_dim=size,
            class_dim=size,
            reconstruction_weight=validation.weight,
            dtype=validation.one_of(*validation.DTYPES),
        )
        for name in ("kernel_sizes", "strides"):
            if len(values := getattr(self, name)) != len(self.channels):
                raise ValueError(
                    f"{name}={values}: must be one for each of the {len(self.channels)} "
                    f"convolutions of channels={self.channels}"
                )
        if self.channels[-1] % self.primary_dim:
            raise ValueError(
                f"primary_dim={self.primary_dim}: must divide the {self.channels[-1]} channels of "
                "the last convolution"
            )
        check_class_routing(self.routing)
        check_decoder(self.decoder)

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the convolutions leave anything."""
        side = 1
        for kernel_size, stride in zip(
            reversed(self.kernel_sizes), reversed(self.strides), strict=True
        ):
            side = (side - 1) * stride + kernel_size
        return side

    def map_side(self, side: int) -> int:
        """Height or width of the last feature map, of that of the images."""
        for kernel_size, stride in zip(self.kernel_sizes, self.strides, strict=True):
            side = (side - kernel_size) // stride + 1
        return side


class NormalisedConvolution(nnx.Module):
    """Convolution without padding, ReLU, batch normalisation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, in pixels.
        strides: Of the convolution, in pixels.
        dtype: Compute type.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        strides: int,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.convolution = Convolution(
            in_channels, out_channels, kernel_size, strides=strides, dtype=dtype, rngs=rngs
        )
        self.norm = nnx.BatchNorm(out_channels, momentum=0.9, dtype=jnp.dtype(dtype), rngs=rngs)

    def __call__(
        self, features: Num[ArrayLike, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Features of each channel with mean 0 and variance 1 in training, then scaled."""
        return self.norm(nnx.relu(self.convolution(features)))


class EfficientCapsNet(CapsuleClassifier):
    """Convolutions, a depthwise one over the whole map, routed class capsules, decoder.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the convolutions, or a field has a value that
            no network can have.
    """

    def __init__(
        self,
        config: EfficientCapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, config.smallest_side, "the convolutions")
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.margin_weight = 1.0
        self.reconstruction_weight = config.reconstruction_weight
        in_channels = (image_shape[-1], *config.channels[:-1])
        layers = zip(in_channels, config.channels, config.kernel_sizes, config.strides, strict=True)
        self.convolutions = nnx.List(
            NormalisedConvolution(*sizes, strides=strides, dtype=config.dtype, rngs=rngs)
            for *sizes, strides in layers
        )
        channels, primary_dim = config.channels[-1], config.primary_dim
        self.primary_capsules = DepthwiseCapsules(
            channels,
            primary_dim,
            [config.map_side(side) for side in image_shape[:2]],
            dtype=config.dtype,
            rngs=rngs,
        )
        self.class_capsules = DenseCapsules(
            channels // primary_dim,
            primary_dim,
            num_classes,
            config.class_dim,
            routing=config.routing,
            dtype=config.dtype,
            rngs=rngs,
        )
        self.decoder = (
            config.decoder.build(
                num_classes, config.class_dim, image_shape, dtype=config.dtype, rngs=rngs
            )
            if config.reconstruction_weight
            else None
        )

    def _primary(self, images):
        features = images
        for convolution in self.convolutions:
            features = convolution(features)
        return self.primary_capsules(features)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of "convolution 1" and so on, and of "primary capsules".

        Images may be of any size from that which the network is for. A place of the primary
        capsules' map has the components of all capsules there.
        """
        features, maps = as_float(images), {}
        for number, convolution in enumerate(self.convolutions, start=1):
            features = convolution(features)
            maps[f"convolution {number}"] = features
        return {**maps, "primary capsules": self.primary_capsules.map(features)}
