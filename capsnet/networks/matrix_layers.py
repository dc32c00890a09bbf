"""The layers of capsule networks with pose matrices, whatever their routing and their loss.

A convolution, primary capsules, convolutional capsules and class capsules: figure 1 of Hinton,
Sabour and Frosst, "Matrix capsules with EM routing" (2018).
"""

import dataclasses
import math

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers import ConvolutionalCapsules
from capsnet.layers.matrix import ClassCapsules, MatrixPrimaryCapsules
from capsnet.networks.scores import winning_poses
from capsnet.networks.views import link_of_list, link_of_map
from capsnet.paths import centres, winning_paths
from capsnet.routing import Capsules, ExpectationMaximisationRouting, Routing
from capsnet.routing.base import check_class_routing
from cnn import Convolution, validation
from cnn.arrays import as_float, as_images, flatten
from cnn.output import Output, Views, log_probabilities
from cnn.places import Places

KERNEL_SIZE, STRIDE = 5, 2
WINDOW = 3
# Beyond this a pose matrix has more components than any layer.
MAX_POSE_SIDE = 256


@dataclasses.dataclass
class MatrixLayersConfig:
    """Architecture of `MatrixLayers`.

    Attributes:
        convolution_channels: Channels of the 5x5 convolution of stride 2, A in the paper.
        primary_types: Types of primary capsules, B.
        capsule_types: Types of each layer of convolutional capsules, C and D. Windows are 3x3;
            those of the first layer are two places apart, those of others one.
        pose_side: Rows and columns of a pose matrix.
        coordinate_scale: See `capsnet.layers.matrix.ClassCapsules`.
        routing: From each layer of capsules to the next.
        dtype: Compute type of convolutions and votes, "float32" or "bfloat16"; routing and losses
            stay in float32.
    """

    convolution_channels: int = 32
    primary_types: int = 32
    capsule_types: tuple[int, ...] = (32, 32)
    pose_side: int = 4
    coordinate_scale: float = 1.0
    routing: Routing = dataclasses.field(default_factory=ExpectationMaximisationRouting)
    dtype: str = "float32"

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        validation.check(
            self,
            convolution_channels=size,
            primary_types=size,
            capsule_types=validation.each(size, least=1),
            pose_side=validation.whole(2, MAX_POSE_SIDE),
            coordinate_scale=validation.weight,
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_class_routing(self.routing)

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        side = 1 + (WINDOW - 1) * (len(self.capsule_types) - 1)
        for kernel_size in (WINDOW, KERNEL_SIZE):
            side = STRIDE * (side - 1) + kernel_size
        return side

    def places(self, image_shape: tuple[int, int, int]) -> tuple[Places, ...]:
        """The places of primary capsules, and of each layer of convolutional capsules."""
        found = [Places.of_image(image_shape).behind(KERNEL_SIZE, STRIDE)]
        for layer in range(len(self.capsule_types)):
            found.append(found[-1].behind(WINDOW, _stride(layer)))
        return tuple(found)


class MatrixLayers(nnx.Module):
    """Network of capsules with pose matrices that classifies by the class capsules' activations.

    A subclass adds the loss.

    Attributes:
        batch_norm: Whether the convolution and the primary capsules are batch-normalised.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers, or a field has a value that no
            network can have.
    """

    batch_norm = False

    def __init__(
        self,
        config: MatrixLayersConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        layers = f"the convolution and {len(config.capsule_types)} layers of capsules"
        validation.check_side(image_shape, config.smallest_side, layers)
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.places = config.places(image_shape)
        channels, dim = config.convolution_channels, config.pose_side**2
        # Products with such matrices keep the scale of poses.
        kernel_init = nnx.initializers.normal(config.pose_side**-0.5)
        self.convolution = Convolution(
            image_shape[-1],
            channels,
            KERNEL_SIZE,
            strides=STRIDE,
            use_bias=not self.batch_norm,
            dtype=config.dtype,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(channels, momentum=0.9, rngs=rngs) if self.batch_norm else None
        self.primary_capsules = MatrixPrimaryCapsules(
            channels,
            config.primary_types,
            dim,
            batch_norm=self.batch_norm,
            dtype=config.dtype,
            rngs=rngs,
        )
        self.capsules = nnx.List(_convolutional_capsules(config, kernel_init, rngs))
        self.class_capsules = ClassCapsules(
            self.places[-1].size,
            config.capsule_types[-1],
            dim,
            num_classes,
            routing=config.routing,
            coordinate_scale=config.coordinate_scale,
            kernel_init=kernel_init,
            dtype=config.dtype,
            rngs=rngs,
        )

    def _convolved(self, images):
        features = self.convolution(images).astype(jnp.float32)
        return nnx.relu(features if self.norm is None else self.norm(features))

    def _maps(self, features):
        """The capsules of every layer but the last, where they are, of convolved images.

        And what was routed to each layer but the first.
        """
        maps, routed = [self.primary_capsules(features)], []
        for layer in self.capsules:
            routed.append(layer(*maps[-1]))
            maps.append(Capsules(routed[-1].poses, routed[-1].activations))
        return maps, routed

    def classes(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> tuple[
        Float[Array, "batch classes dim"],
        Float[Array, "batch capsules classes"],
        Float[Array, "batch classes"],
    ]:
        """Poses, couplings and activations of the class capsules of images in [0, 1]."""
        maps, _ = self._maps(self._convolved(as_images(images, self.image_shape)))
        poses, couplings, activations = self.class_capsules(*maps[-1])
        assert activations is not None  # the layer fills them in
        return poses, couplings, activations

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Finds the class capsules of images in [0, 1].

        Their activations are the probabilities that an entity of each class is in the image, the
        logits the logarithms of these, and the features the pose that belongs to the largest.
        """
        poses, couplings, activations = self.classes(images)
        logits = log_probabilities(activations)
        return Output(
            logits,
            probabilities=activations,
            features=winning_poses(poses, logits),
            poses=poses,
            couplings=couplings,
        )

    def views(self, images: Num[ArrayLike, "batch height width channels"]) -> Views:
        """The places of the capsules below the classes, and the winning paths down from these."""
        maps, routed = self._maps(self._convolved(as_images(images, self.image_shape)))
        _, couplings, activations = self.class_capsules(*maps[-1])
        assert activations is not None  # the layer fills them in
        below = [capsules.activations for capsules in maps]
        links = [
            link_of_map(*each)
            for each in zip(self.capsules, routed, below[:-1], self.places[:-1], strict=True)
        ]
        links.append(link_of_list(couplings, flatten(below[-1]), self.places[-1]))
        winners = jnp.argmax(activations, axis=1)
        return Views(
            capsule_places=centres(self.places[-1], winners.shape[0]),
            winning_paths=winning_paths(winners, self.num_classes, links),
        )

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of "convolution", "primary capsules", "capsules 1" and so on, of any size.

        A place of a map of capsules has the components of all poses there.
        """
        features = self._convolved(as_float(images))
        maps = [capsules.poses for capsules in self._maps(features)[0]]
        names = ["primary capsules", *(f"capsules {layer}" for layer in range(1, len(maps)))]
        flat = [poses.reshape(*poses.shape[:3], math.prod(poses.shape[3:])) for poses in maps]
        return {"convolution": features, **dict(zip(names, flat, strict=True))}


def _stride(layer):
    """Between the windows of a layer of convolutional capsules."""
    return STRIDE if layer == 0 else 1


def _convolutional_capsules(config, kernel_init, rngs):
    """The layers between primary and class capsules, from the lowest up."""
    types, dim = (config.primary_types, *config.capsule_types), config.pose_side**2
    return [
        ConvolutionalCapsules(
            types[layer],
            dim,
            types[layer + 1],
            dim,
            kernel_size=WINDOW,
            strides=_stride(layer),
            routing=config.routing,
            pose="matrix",
            kernel_init=kernel_init,
            dtype=config.dtype,
            rngs=rngs,
        )
        for layer in range(len(config.capsule_types))
    ]
