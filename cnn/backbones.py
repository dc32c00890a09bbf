"""Backbones with batch normalisation: from images to a feature map that other layers read."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float
from cnn.convolution import Convolution
from cnn.places import Places


def normalised_places(
    image_shape: Sequence[int], strides: Sequence[int], kernel_size: int = 3
) -> Places:
    """The places of the map that padded convolutions make of an image.

    Args:
        image_shape: Height, width and channels.
        strides: Of each convolution, in pixels.
        kernel_size: Of all of them.
    """
    places = Places.of_image(image_shape)
    for stride in strides:
        places = places.behind(kernel_size, stride, "SAME")
    return places


class NormalisedConvolution(nnx.Module):
    """Convolution without a bias, padded, then batch normalisation (Ioffe and Szegedy, 2015).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, in pixels.
        strides: Of the convolution, in pixels.
        dtype: Compute type; statistics are float32.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        strides: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        self.convolution = Convolution(
            in_channels,
            out_channels,
            kernel_size,
            strides=strides,
            padding="SAME",
            use_bias=False,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(out_channels, momentum=0.9, dtype=jnp.dtype(dtype), rngs=rngs)

    def __call__(
        self, features: Num[ArrayLike, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Features of each channel with mean 0 and variance 1 in training, scaled and moved."""
        return self.norm(self.convolution(features))


class ConvolutionalBackbone(nnx.Module):
    """Normalised 3x3 convolutions, each with a ReLU.

    With the defaults the backbone of Hahn, Pyeon and Kim, "Self-routing capsule networks" (2019) on
    smallNORB: 143,664 parameters on grey images.

    Args:
        in_channels: Channels of the images.
        channels: Of each convolution.
        strides: Of each convolution, in pixels.
        dtype: Compute type.
        rngs: Source of the initial values.

    Raises:
        ValueError: if there is not one stride for each convolution.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (16, 32, 32, 64, 64, 128),
        strides: Sequence[int] = (1, 2, 1, 2, 1, 2),
        *,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        check_one_stride_for_each(strides, channels)
        layers = zip((in_channels, *channels[:-1]), channels, strides, strict=True)
        self.layers = nnx.List(
            NormalisedConvolution(*sizes, strides=stride, dtype=dtype, rngs=rngs)
            for *sizes, stride in layers
        )

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map behind each ReLU: "convolution N", counted from 1, in their order."""
        found, features = {}, as_float(images)
        for number, layer in enumerate(self.layers, start=1):
            features = found[f"convolution {number}"] = nnx.relu(layer(features))
        return found

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """The last feature map."""
        return list(self.activations(images).values())[-1]


class ResidualBlock(nnx.Module):
    """Two normalised 3x3 convolutions beside the identity, or beside a 1x1 convolution.

    The basic block of He, Zhang, Ren and Sun, "Deep residual learning for image recognition"
    (2016), with their option B where the sizes of input and output differ.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        strides: Of the first convolution, in pixels.
        dtype: Compute type.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        strides: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        self.first = NormalisedConvolution(
            in_channels, out_channels, strides=strides, dtype=dtype, rngs=rngs
        )
        self.second = NormalisedConvolution(out_channels, out_channels, dtype=dtype, rngs=rngs)
        self.shortcut = (
            None
            if (in_channels, 1) == (out_channels, strides)
            else NormalisedConvolution(
                in_channels, out_channels, 1, strides=strides, dtype=dtype, rngs=rngs
            )
        )

    def __call__(
        self, features: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Features at the size that the strides leave, rounded up."""
        residual = self.second(nnx.relu(self.first(features)))
        shortcut = features if self.shortcut is None else self.shortcut(features)
        return nnx.relu(residual + shortcut)


class ResidualBackbone(nnx.Module):
    """A normalised 3x3 convolution and stages of residual blocks, each but the first half as large.

    Args:
        in_channels: Channels of the images.
        channels: Of the stages; the convolution has those of the first.
        blocks: Residual blocks of each stage, at least one.
        dtype: Compute type.
        rngs: Source of the initial values.

    Raises:
        ValueError: if there is not one number of blocks for each stage.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        *,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        check_blocks_of_each(blocks, channels)
        self.convolution = NormalisedConvolution(in_channels, channels[0], dtype=dtype, rngs=rngs)
        width, layers = channels[0], []
        for stage, (out_channels, count) in enumerate(zip(channels, blocks, strict=True)):
            for block in range(count):
                strides = 2 if stage and not block else 1
                layers.append(
                    ResidualBlock(width, out_channels, strides=strides, dtype=dtype, rngs=rngs)
                )
                width = out_channels
        self.blocks = nnx.List(layers)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature maps "convolution" and "block N", counted from 1, in their order."""
        features = nnx.relu(self.convolution(as_float(images)))
        found = {"convolution": features}
        for number, block in enumerate(self.blocks, start=1):
            features = found[f"block {number}"] = block(features)
        return found

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """The last feature map."""
        return list(self.activations(images).values())[-1]


def check_one_stride_for_each(strides: Sequence[int], channels: Sequence[int]) -> None:
    """Raises a `ValueError` unless there is one stride for each convolution.

    Args:
        strides: In pixels.
        channels: Of the convolutions.
    """
    if len(strides) != len(channels):
        raise ValueError(
            f"strides={strides!r}: must be one for each of the {len(channels)} convolutions"
        )


def check_blocks_of_each(blocks: Sequence[int], channels: Sequence[int]) -> None:
    """Raises a `ValueError` unless there is one number of blocks for each stage.

    Args:
        blocks: Of the stages.
        channels: Of the stages.
    """
    if len(blocks) != len(channels):
        raise ValueError(
            f"blocks={blocks!r}: must be one number for each of the {len(channels)} stages"
        )
