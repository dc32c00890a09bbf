"""Small residual networks of a given size.

The networks for CIFAR10 of He, Zhang, Ren and Sun, "Deep residual learning for image recognition"
(2016), section 4.2: a 3x3 convolution, three stages of blocks, each with twice the channels of the
one before at half its size, the mean over all places and a linear classifier. Three blocks a stage
are their ResNet-20. The shortcuts between stages are 1x1 convolutions here.
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images
from cnn.backbones import ResidualBackbone
from cnn.losses import classification_loss
from cnn.output import Output
from cnn.parameter_budget import build_matched


@dataclasses.dataclass
class ResidualNetworkConfig:
    """Architecture of a `ResidualNetwork`.

    Attributes:
        blocks: Residual blocks of each stage.
        parameters: Of the whole network; the nearest width is taken.
    """

    blocks: tuple[int, ...] = (3, 3, 3)
    parameters: int = 400_000

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "ResidualNetwork":
        """Creates the network for images of (height, width, channels)."""
        self.check()
        validation.check_task(image_shape, num_classes)
        return build_matched(ResidualNetwork, self, image_shape, num_classes, rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        few = validation.MAX_UNROLLED
        validation.check(
            self,
            # The first of more stages would have less than a channel at any width that is tried.
            blocks=validation.each(validation.whole(most=few), least=1, most=8),
            parameters=validation.whole(most=validation.MAX_PARAMETERS),
        )

    def channels(self, width: int) -> tuple[int, ...]:
        """Channels of each stage: of the last one the width, of each before half as many.

        Args:
            width: Channels of the last stage.
        """
        return tuple(-(-width // 2**stage) for stage in reversed(range(len(self.blocks))))


class ResidualNetwork(nnx.Module):
    """Stages of residual blocks, the mean over all places, a linear classifier.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Channels of the last stage.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        config: ResidualNetworkConfig,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        width: int,
        rngs: nnx.Rngs,
    ):
        self.image_shape = tuple(image_shape)
        self.backbone = ResidualBackbone(
            image_shape[-1], config.channels(width), config.blocks, rngs=rngs
        )
        self.classifier = nnx.Linear(width, num_classes, rngs=rngs)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature maps "convolution" and "block N"; the images may be of any size."""
        return self.backbone.activations(images)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the means over all places."""
        features = jnp.mean(self.backbone(as_images(images, self.image_shape)), axis=(1, 2))
        return Output(self.classifier(features), features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
