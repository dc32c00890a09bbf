"""The network of Tsai et al., "Capsules with inverted dot-product attention routing" (2020).

A residual backbone, and capsule layers with matrices as poses whose parents compete for the votes
of each child; layer normalisation in place of a squash, and no activations.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers import ConvolutionalCapsules, DenseCapsules
from capsnet.networks.scores import winning_poses
from capsnet.networks.views import link_of_list, link_of_map, ones_for
from capsnet.paths import centres, winning_paths
from capsnet.routing import InvertedAttentionRouting
from cnn import Convolution, validation
from cnn.arrays import as_float, as_images
from cnn.backbones import ResidualBackbone, check_blocks_of_each, normalised_places
from cnn.losses import classification_loss
from cnn.output import Output, Views
from cnn.places import Places

KERNEL_SIZE = 3

Layer = Callable[..., Any]
"""(poses of the layer below, `previous` poses of its own or None) to what it routed."""


@dataclasses.dataclass
class AttentionCapsNetConfig:
    """Architecture of an `AttentionCapsNet`.

    The defaults are the paper's on CIFAR10: 1,828,817 parameters on 32x32 colour images and 10
    classes.

    Attributes:
        channels: Of each stage of the backbone; each but the first halves the map.
        blocks: Residual blocks of each stage.
        types: Capsules at a place.
        pose_side: Height and width of a pose, a square matrix; at least 2.
        capsule_strides: Of each layer of convolutional capsules, 3x3, in places.
        hidden_capsules: Of each fully connected layer before that of the classes.
        iterations: Passes of the routing, at least 1; with 1 the couplings are uniform.
        concurrent: Whether all layers are routed at the same time, each from the old poses of its
            neighbours, or else one layer after another.
        dtype: Compute type of convolutions and votes, "float32" or "bfloat16"; statistics of
            normalisation, routing and loss stay in float32.
    """

    channels: tuple[int, ...] = (64, 128)
    blocks: tuple[int, ...] = (3, 4)
    types: int = 32
    pose_side: int = 4
    capsule_strides: tuple[int, ...] = (2, 1)
    hidden_capsules: tuple[int, ...] = ()
    iterations: int = 2
    concurrent: bool = True
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "AttentionCapsNet":
        """Creates the network for images of (height, width, channels)."""
        return AttentionCapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        sizes = validation.each(size, least=1)
        validation.check(
            self,
            channels=sizes,
            blocks=validation.each(validation.whole(most=validation.MAX_UNROLLED), least=1),
            types=size,
            # Of a single component layer normalisation leaves nothing.
            pose_side=validation.whole(2, math.isqrt(validation.MAX_SIZE)),
            capsule_strides=validation.each(size),
            hidden_capsules=validation.each(size),
            iterations=validation.whole(most=validation.MAX_UNROLLED),
            concurrent=validation.flag,
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_blocks_of_each(self.blocks, self.channels)

    @property
    def backbone_strides(self) -> tuple[int, ...]:
        """Strides of the stages of the backbone."""
        return (1, *[2] * (len(self.channels) - 1))

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        side = 1
        for stride in reversed(self.capsule_strides):
            side = (side - 1) * stride + KERNEL_SIZE
        return (side - 1) * math.prod(self.backbone_strides) + 1

    def places(self, image_shape: Sequence[int]) -> tuple[Places, ...]:
        """The places of primary capsules, and of each layer of convolutional capsules."""
        stages = zip(self.backbone_strides, self.blocks, strict=True)
        strides = [(stride, *[1] * (2 * count - 1)) for stride, count in stages]
        found = [normalised_places(image_shape, (1, *itertools.chain(*strides)))]
        for stride in self.capsule_strides:
            found.append(found[-1].behind(KERNEL_SIZE, stride))
        return tuple(found)


def cifar100() -> AttentionCapsNetConfig:
    """The paper's network on CIFAR100: 2,799,629 parameters on 32x32 colour images, 100 classes."""
    return AttentionCapsNetConfig(pose_side=6, hidden_capsules=(20,))


def route_concurrently(layers: Sequence[Layer], poses: Any, iterations: int) -> list[Any]:
    """Routes a stack of layers at the same time.

    The first pass goes up the stack with equal couplings. In each further one, every layer makes
    new poses from votes of the old poses below and their agreement with its own old poses.

    Args:
        layers: From the lowest up, each with one pass in its routing.
        poses: Of the capsules below the lowest.
        iterations: Passes, at least 1.

    Returns:
        What each layer routed in the last pass.
    """
    routed, below = [], poses
    for layer in layers:
        routed.append(layer(below))
        below = routed[-1].poses
    for _ in range(iterations - 1):
        belows = [poses, *(found.poses for found in routed[:-1])]
        routed = [
            layer(below, previous=found.poses)
            for layer, below, found in zip(layers, belows, routed, strict=True)
        ]
    return routed


def route_sequentially(layers: Sequence[Layer], poses: Any) -> list[Any]:
    """Routes a stack of layers, all passes of one before those of the next.

    Args:
        layers: From the lowest up, each with all passes in its routing, for which its votes are
            made once.
        poses: Of the capsules below the lowest.

    Returns:
        What each layer routed in its last pass.
    """
    routed = []
    for layer in layers:
        routed.append(layer(poses))
        poses = routed[-1].poses
    return routed


class AttentionCapsNet(nnx.Module):
    """Residual backbone, primary capsules, routed capsules up to the classes, one linear map.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the convolutional capsules, or a field has a
            value that no network can have.
    """

    def __init__(
        self,
        config: AttentionCapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, config.smallest_side, "the convolutional capsules")
        self.image_shape = image_shape
        self.iterations = config.iterations
        self.concurrent = config.concurrent
        # A layer that is routed by itself makes all passes on the same votes.
        routing = InvertedAttentionRouting(1 if config.concurrent else config.iterations)
        types, dim = config.types, config.pose_side**2
        self.backbone = ResidualBackbone(
            image_shape[-1], config.channels, config.blocks, dtype=config.dtype, rngs=rngs
        )
        self.primary_capsules = Convolution(
            config.channels[-1], types * dim, 1, use_bias=False, dtype=config.dtype, rngs=rngs
        )
        self.primary_norm = nnx.LayerNorm(dim, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.convolutional_capsules = nnx.List(
            _convolutional_capsules(types, dim, strides, routing, config.dtype, rngs)
            for strides in config.capsule_strides
        )
        self.places = config.places(image_shape)
        last = math.prod(self.places[-1].size) * types
        counts = (last, *config.hidden_capsules, num_classes)
        self.dense_capsules = nnx.List(
            _dense_capsules(counts[layer], counts[layer + 1], dim, routing, config.dtype, rngs)
            for layer in range(len(counts) - 1)
        )
        self.classifier = nnx.Linear(dim, 1, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the class capsule that wins."""
        routed = self._routed(self._primary(images))[-1]
        logits = self.classifier(routed.poses)[..., 0]
        return Output(
            logits,
            features=winning_poses(routed.poses, logits),
            poses=routed.poses,
            couplings=routed.couplings,
        )

    def views(self, images: Num[ArrayLike, "batch height width channels"]) -> Views:
        """The winning paths; places of the capsules below the classes, if these lie on a map."""
        primary = self._primary(images)
        routed = self._routed(primary)
        below = [primary, *(found.poses for found in routed)]
        on_maps = len(self.convolutional_capsules)
        links = [
            link_of_map(*each)
            for each in zip(
                self.convolutional_capsules,
                routed[:on_maps],
                map(ones_for, below[:on_maps]),
                self.places[:-1],
                strict=True,
            )
        ]
        dense = [found.couplings for found in routed[on_maps:]]
        links.append(link_of_list(dense[0], places=self.places[-1]))
        links += map(link_of_list, dense[1:])
        logits = self.classifier(routed[-1].poses)[..., 0]
        return Views(
            capsule_places=None if dense[1:] else centres(self.places[-1], logits.shape[0]),
            winning_paths=winning_paths(jnp.argmax(logits, axis=1), logits.shape[1], links),
        )

    def _primary(self, images):
        features = self.backbone(as_images(images, self.image_shape))
        outputs = self.primary_capsules(features).astype(jnp.float32)
        types = outputs.shape[3] // self.primary_norm.num_features
        poses = outputs.reshape(*outputs.shape[:3], types, self.primary_norm.num_features)
        return self.primary_norm(poses)

    def _routed(self, primary):
        layers = [*self.convolutional_capsules, *map(_of_all_places, self.dense_capsules)]
        if self.concurrent:
            return route_concurrently(layers, primary, self.iterations)
        return route_sequentially(layers, primary)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature maps of the backbone, "convolution" and "block N"; images of any size."""
        return self.backbone.activations(as_float(images))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)


def _of_all_places(layer: DenseCapsules) -> Layer:
    """A fully connected layer of the capsules of a map, or of a layer without places."""

    def route(poses, **options):
        count = math.prod(poses.shape[1:-1])
        return layer(poses.reshape(poses.shape[0], count, poses.shape[-1]), **options)

    return route


def _convolutional_capsules(types, dim, strides, routing, dtype, rngs):
    inputs = KERNEL_SIZE**2 * types
    return ConvolutionalCapsules(
        types,
        dim,
        types,
        dim,
        kernel_size=KERNEL_SIZE,
        strides=strides,
        routing=routing,
        pose="matrix",
        kernel_init=_kernel_init(inputs, types, dim),
        dtype=dtype,
        rngs=rngs,
    )


def _dense_capsules(inputs, outputs, dim, routing, dtype, rngs):
    return DenseCapsules(
        inputs,
        dim,
        outputs,
        dim,
        routing=routing,
        pose="matrix",
        kernel_init=_kernel_init(inputs, outputs, dim),
        dtype=dtype,
        rngs=rngs,
    )


def _kernel_init(inputs, outputs, dim):
    """Normal, so that the sum of equally shared votes has entries of variance 1 / outputs."""
    return nnx.initializers.normal(math.sqrt(outputs / (math.sqrt(dim) * inputs)))
