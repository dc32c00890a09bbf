"""The network of Hahn, Pyeon and Kim, "Self-routing capsule networks" (2019).

Primary capsules have activations of their own, and class capsules nothing else: each input capsule
decides by its pose which class its activation counts for.
"""

import dataclasses
import math

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers import ConvolutionalCapsules
from capsnet.layers.convolutional import RoutedMap
from capsnet.networks.views import link_of_list, link_of_map
from capsnet.paths import centres, winning_paths
from capsnet.routing import Capsules, SelfRouting, Sizes
from cnn import validation
from cnn.arrays import as_float, as_images, flatten
from cnn.backbones import (
    ConvolutionalBackbone,
    NormalisedConvolution,
    check_one_stride_for_each,
    normalised_places,
)
from cnn.losses import classification_loss
from cnn.output import Output, Views, log_probabilities


@dataclasses.dataclass
class SelfRoutingCapsNetConfig:
    """Architecture of a `SelfRoutingCapsNet`.

    The defaults are the paper's on smallNORB: 814,960 parameters on 32x32 grey images and 5
    classes.

    Attributes:
        channels: Of each 3x3 convolution of the backbone.
        strides: Of each of them, in pixels.
        types: Capsules at a place.
        pose_dim: Components of a capsule.
        hidden_layers: Convolutional capsule layers, 3x3, between primary and class capsules; each
            adds 2,516,992 parameters.
        dtype: Compute type of convolutions and votes, "float32" or "bfloat16"; statistics of batch
            normalisation, routing and loss stay in float32.
    """

    channels: tuple[int, ...] = (16, 32, 32, 64, 64, 128)
    strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2)
    types: int = 32
    pose_dim: int = 16
    hidden_layers: int = 0
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "SelfRoutingCapsNet":
        """Creates the network for images of (height, width, channels)."""
        return SelfRoutingCapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        validation.check(
            self,
            channels=validation.each(size, least=1),
            strides=validation.each(size),
            types=size,
            pose_dim=size,
            hidden_layers=validation.whole(0, validation.MAX_UNROLLED),
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_one_stride_for_each(self.strides, self.channels)


class ActivatedCapsules(nnx.Module):
    """Primary capsules with activations of their own: normalised 3x3 convolutions for each.

    Args:
        in_channels: Channels of the feature map.
        types: Capsules at a place.
        dim: Components of a capsule.
        dtype: Compute type.
        rngs: Source of the initial values.
    """

    def __init__(
        self, in_channels: int, types: int, dim: int, *, dtype: str = "float32", rngs: nnx.Rngs
    ):
        self.activations = NormalisedConvolution(in_channels, types, dtype=dtype, rngs=rngs)
        self.poses = NormalisedConvolution(in_channels, types * dim, dtype=dtype, rngs=rngs)
        self.dim = dim

    def __call__(self, features: Num[ArrayLike, "batch height width channels"]) -> Capsules:
        """A map of capsules, in float32: poses of any length, activations in (0, 1)."""
        activations = nnx.sigmoid(self.activations(features).astype(jnp.float32))
        poses = self.poses(features).astype(jnp.float32)
        return Capsules(poses.reshape(*activations.shape, self.dim), activations)


class HiddenCapsules(nnx.Module):
    """Self-routed convolutional capsules, 3x3 and padded, with batch normalisation of poses.

    Args:
        types: Capsules at a place, of input and output.
        dim: Components of a capsule.
        dtype: Compute type of the votes.
        rngs: Source of the initial values.
    """

    def __init__(self, types: int, dim: int, *, dtype: str = "float32", rngs: nnx.Rngs):
        self.capsules = ConvolutionalCapsules(
            types,
            dim,
            types,
            dim,
            padding="SAME",
            routing=SelfRouting(),
            kernel_init=nnx.initializers.he_uniform(1, (2, 3), batch_axis=(0,)),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(types * dim, momentum=0.9, rngs=rngs)

    def __call__(self, capsules: Capsules) -> tuple[Capsules, RoutedMap]:
        """Capsules of the next layer, a map of the same size, and what was routed to them."""
        routed = self.capsules(*capsules)
        poses = routed.poses.reshape(*routed.poses.shape[:3], math.prod(routed.poses.shape[3:]))
        normalised = self.norm(poses).reshape(routed.poses.shape)
        return Capsules(normalised, routed.activations), routed


class SelfRoutingCapsNet(nnx.Module):
    """Convolutions, primary capsules with activations, self-routed capsules up to the classes.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a field has a value that no network can have.
    """

    def __init__(
        self,
        config: SelfRoutingCapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        self.image_shape = image_shape
        types, dim, dtype = config.types, config.pose_dim, config.dtype
        self.backbone = ConvolutionalBackbone(
            image_shape[-1], config.channels, config.strides, dtype=dtype, rngs=rngs
        )
        self.primary_capsules = ActivatedCapsules(
            config.channels[-1], types, dim, dtype=dtype, rngs=rngs
        )
        self.hidden_capsules = nnx.List(
            HiddenCapsules(types, dim, dtype=dtype, rngs=rngs) for _ in range(config.hidden_layers)
        )
        # A primary capsule sees a window of the backbone's map, and a hidden one of those below.
        self.places = tuple(
            normalised_places(image_shape, (*config.strides, *[1] * (1 + layer)))
            for layer in range(1 + config.hidden_layers)
        )
        sizes = Sizes(math.prod(self.places[-1].size) * types, dim, num_classes, out_dim=0)
        self.class_routing = SelfRouting().build(sizes, rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1] by the logarithms of the class capsules' activations.

        These add up to one, so they are probabilities. The features are the poses of the capsules
        below, which decide the couplings.
        """
        capsules = _in_one_list(self._layers(images)[0][-1])
        activations, couplings = self.class_routing.activate(capsules)
        return Output(
            log_probabilities(activations), features=flatten(capsules.poses), couplings=couplings
        )

    def views(self, images: Num[ArrayLike, "batch height width channels"]) -> Views:
        """The places of the capsules below the classes, and the winning paths down from these."""
        layers, hidden = self._layers(images)
        activations, couplings = self.class_routing.activate(last := _in_one_list(layers[-1]))
        links = [
            link_of_map(layer.capsules, routed, below.activations, places)
            for layer, routed, below, places in zip(
                self.hidden_capsules, hidden, layers[:-1], self.places[:-1], strict=True
            )
        ]
        links.append(link_of_list(couplings, last.activations, self.places[-1]))
        winners = jnp.argmax(activations, axis=1)
        return Views(
            capsule_places=centres(self.places[-1], winners.shape[0]),
            winning_paths=winning_paths(winners, activations.shape[1], links),
        )

    def _layers(self, images):
        """The maps of capsules of all layers, and what the hidden ones routed."""
        layers = [self.primary_capsules(self.backbone(as_images(images, self.image_shape)))]
        hidden = []
        for layer in self.hidden_capsules:
            capsules, routed = layer(layers[-1])
            layers.append(capsules)
            hidden.append(routed)
        return layers, hidden

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map of each convolution, and "primary capsules"; images may be of any size.

        A place of the primary capsules' map has the components of all capsules there.
        """
        found = self.backbone.activations(as_float(images))
        features = list(found.values())[-1]
        return {**found, "primary capsules": self.primary_capsules.poses(features)}

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Mean negative logarithm of the activation of the true class; see `cnn.accuracy`."""
        return classification_loss(self(batch.images).logits, batch.labels)


def _in_one_list(capsules):
    """Capsules of a map in a list of all places."""
    count = math.prod(capsules.activations.shape[1:])
    poses, activations = (part.reshape(part.shape[0], count, *part.shape[4:]) for part in capsules)
    return Capsules(poses, activations)
