"""Trunks of a network: from images to the map that every head reads."""

import dataclasses

from flax import nnx
from jaxtyping import Array, Float

from cnn import Convolution, validation
from cnn.backbones import (
    ConvolutionalBackbone,
    NormalisedConvolution,
    check_one_stride_for_each,
    normalised_places,
)
from cnn.places import Places


@dataclasses.dataclass(frozen=True)
class Trunk:
    """A trunk, as a configuration describes it; subclasses build the module.

    Attributes:
        types: Capsules at a place of the map.
        dim: Components of a capsule.
    """

    types: int = 32
    dim: int = 8

    def build(self, in_channels: int, dtype: str, rngs: nnx.Rngs) -> "Layers":
        """Creates the module.

        Args:
            in_channels: Channels of the images.
            dtype: Compute type.
            rngs: Source of the initial values.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raises a `ValueError` for a field that no trunk can have."""
        validation.check(self, types=validation.whole(), dim=validation.whole())

    def places(self, image_shape: tuple[int, int, int]) -> Places:
        """The places of the map on images of a shape."""
        raise NotImplementedError

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        return 1


@dataclasses.dataclass(frozen=True)
class SabourTrunk(Trunk):
    """Two convolutions with a ReLU between, those of Sabour, Frosst and Hinton (2017).

    Attributes:
        channels: Of the first convolution.
        kernel_size: Of both, in pixels.
        stride: Of the second, in pixels.
    """

    channels: int = 256
    kernel_size: int = 9
    stride: int = 2

    def check(self) -> None:
        """Raises a `ValueError` for a field that no trunk can have."""
        super().check()
        size = validation.whole()
        validation.check(self, channels=size, kernel_size=size, stride=size)

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        return 2 * self.kernel_size - 1

    def places(self, image_shape: tuple[int, int, int]) -> Places:
        """The places of the map on images of a shape."""
        first = Places.of_image(image_shape).behind(self.kernel_size)
        return first.behind(self.kernel_size, self.stride)

    def build(self, in_channels: int, dtype: str, rngs: nnx.Rngs) -> "Layers":
        """Creates the module."""
        first = Convolution(
            in_channels,
            self.channels,
            self.kernel_size,
            kernel_init=nnx.initializers.he_normal(),
            dtype=dtype,
            rngs=rngs,
        )
        last = Convolution(
            self.channels,
            self.types * self.dim,
            self.kernel_size,
            strides=self.stride,
            kernel_init=nnx.initializers.lecun_normal(),  # a ReLU or a squash follows
            dtype=dtype,
            rngs=rngs,
        )
        return Layers({"convolution": _Rectified(first)}, last)


@dataclasses.dataclass(frozen=True)
class NormalisedTrunk(Trunk):
    """Convolutions of 3x3 pixels with batch normalisation, of Hahn, Pyeon and Kim (2019).

    Attributes:
        channels: Of each convolution before the last.
        strides: Of each, in pixels.
    """

    dim: int = 16  # as in the paper
    channels: tuple[int, ...] = (16, 32, 32, 64, 64, 128)
    strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2)

    def check(self) -> None:
        """Raises a `ValueError` for a field that no trunk can have."""
        super().check()
        validation.check(self, channels=validation.each(validation.whole(), least=1))
        check_one_stride_for_each(self.strides, self.channels)

    def places(self, image_shape: tuple[int, int, int]) -> Places:
        """The places of the map on images of a shape."""
        return normalised_places(image_shape, (*self.strides, 1))

    def build(self, in_channels: int, dtype: str, rngs: nnx.Rngs) -> "Layers":
        """Creates the module."""
        backbone = ConvolutionalBackbone(
            in_channels, self.channels, self.strides, dtype=dtype, rngs=rngs
        )
        last = NormalisedConvolution(
            self.channels[-1], self.types * self.dim, dtype=dtype, rngs=rngs
        )
        return Layers({"backbone": backbone}, last)


class Layers(nnx.Module):
    """Layers one after another, the last without a ReLU.

    Args:
        before: Modules by the names of their maps.
        last: From those to the map of primary capsules.
    """

    def __init__(self, before: dict[str, nnx.Module], last: nnx.Module):
        self.before = nnx.Dict(before)
        self.last = last

    def __call__(
        self, images: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """The map that heads read, before any ReLU or squash."""
        return list(self.activations(images).values())[-1]

    def activations(
        self, images: Float[Array, "batch height width in_channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of all layers, by name; images may be of any size that fits."""
        found, features = {}, images
        for name, layer in self.before.items():
            features = found[name] = layer(features)
        return {**found, "primary capsules": self.last(features)}


class _Rectified(nnx.Module):
    """A layer with a ReLU after it."""

    def __init__(self, layer: nnx.Module):
        self.layer = layer

    def __call__(self, images):
        return nnx.relu(self.layer(images))
