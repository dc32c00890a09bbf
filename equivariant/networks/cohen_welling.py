"""The networks of Cohen and Welling, "Group equivariant convolutional networks" (2016), 8.1.

Seven convolutions without padding on 28x28 pixels: 28, 26, 24, pooled to 12, 10, 8, 6, 4, 1. P4CNN
has them over the group of quarter turns, and Z2CNN, its control, as ordinary ones of about as many
parameters; the group of the identity alone makes the one the other. Dropout is where their authors'
code has it.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images, flatten
from cnn.losses import classification_loss
from cnn.output import Output
from equivariant.group_convolution import GroupConvolution, LiftingConvolution
from equivariant.groups import P4, P4M, TRIVIAL
from equivariant.maps import flatten_elements, pool_elements, pool_places

GROUPS = {"z2": TRIVIAL, "p4": P4, "p4m": P4M}
"""Names of the groups: of these with the translations of the plane."""
# The layer that the pooling follows, and no dropout.
_POOLED = 2
_LAYERS = 6
_LAST = 4
_SMALLEST = 28


@dataclasses.dataclass
class GroupNetworkConfig:
    """Architecture of a `GroupNetwork`.

    Attributes:
        group: "z2" (ordinary convolutions), "p4" (quarter turns) or "p4m" (and reflections).
        channels: Of each hidden layer, for each element of the group.
        dropout: Share of the values of hidden layers that is dropped in training, in [0, 1).
        mean: Grey level that is taken from every pixel, in [0, 1]: the same from all, for
            the symmetry.
        deviation: What pixels are then divided by, in (0, 1].
    """

    group: str = "p4"
    channels: int = 10
    dropout: float = 0.0
    mean: float = 0.13
    deviation: float = 0.3

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "GroupNetwork":
        """Creates the network for images of (height, width, channels)."""
        return GroupNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(
            self,
            group=validation.one_of(*GROUPS),
            # Of each of up to eight elements.
            channels=validation.whole(most=validation.MAX_SIZE // 8),
            dropout=validation.share,
            mean=validation.number(0.0, 1.0),
            deviation=validation.number(0.0, 1.0, beyond=True),
        )


def z2cnn() -> GroupNetworkConfig:
    """The paper's control: 21,750 parameters on grey images and 10 classes."""
    return GroupNetworkConfig("z2", channels=20, dropout=0.3)


def p4cnn() -> GroupNetworkConfig:
    """The paper's network over quarter turns: 24,680 parameters."""
    return GroupNetworkConfig()


class Layer(nnx.Module):
    """A convolution, batch normalisation that is shared over the group, and a ReLU.

    Args:
        convolution: From images or maps to maps.
        channels: Of its output.
        rngs: Source of the initial values.
    """

    def __init__(
        self, convolution: LiftingConvolution | GroupConvolution, channels: int, *, rngs: nnx.Rngs
    ):
        self.convolution = convolution
        # A channel's statistics and scale are those of all elements: with others for each, turning
        # an image would change what it is normalised by.
        self.norm = nnx.BatchNorm(channels, momentum=0.9, rngs=rngs)

    def __call__(
        self, inputs: Float[Array, "..."]
    ) -> Float[Array, "batch out_height out_width elements channels"]:
        """Maps over the group."""
        return nnx.relu(self.norm(self.convolution(inputs)))


class GroupNetwork(nnx.Module):
    """Six convolutions with normalisation, one pooling, and a convolution to the classes.

    The logit of a class is the largest over elements and places, so that it does not change when
    the group acts on an image of even height and width.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if the images are too small or a field has a value that no network can have.
    """

    def __init__(
        self,
        config: GroupNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, _SMALLEST, "the seven convolutions")
        self.image_shape = image_shape
        self.mean, self.deviation = config.mean, config.deviation
        group, channels = GROUPS[config.group], config.channels
        layers = [
            LiftingConvolution(group, image_shape[-1], channels, 3, rngs=rngs),
            *(
                GroupConvolution(group, channels, channels, 3, rngs=rngs)
                for _ in range(_LAYERS - 1)
            ),
        ]
        self.layers = nnx.List(Layer(each, channels, rngs=rngs) for each in layers)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.classifier = GroupConvolution(group, channels, num_classes, _LAST, rngs=rngs)

    def _maps(self, images):
        """The maps over the group behind each layer and the pooling, by name, in their order."""
        found, maps = {}, (as_float(images) - self.mean) / self.deviation
        for number, layer in enumerate(self.layers, start=1):
            maps = found[f"convolution {number}"] = layer(maps)
            if number == _POOLED:
                maps = found[f"pooling {number}"] = pool_places(maps)
            else:
                maps = self.dropout(maps)
        return found, maps

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map behind every convolution but the last, and behind the pooling, in order.

        Names are "convolution N" and "pooling 2". Channels of the elements stand one after another,
        those of element 0 first. The images may be of any size that fits.
        """
        return {name: flatten_elements(maps) for name, maps in self._maps(images)[0].items()}

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the last hidden layer."""
        _, maps = self._maps(as_images(images, self.image_shape))
        logits = jnp.max(pool_elements(self.classifier(maps)), axis=(1, 2))
        return Output(logits, features=flatten(maps))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Mean softmax cross-entropy of a batch (`.images` in [0, 1], `.labels` integers).

        Returns:
            The loss in nats, and the batch's accuracy in [0, 1] as a metric.
        """
        return classification_loss(self(batch.images).logits, batch.labels)
