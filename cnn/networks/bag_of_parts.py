"""A classifier of small windows, whatever their places: a control, not a rival.

Whatever differs between two images must differ within some 9x9 window for this network to
distinguish them: its features hold which parts an image has, but not how they are arranged.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images
from cnn.convolution import Convolution
from cnn.losses import classification_loss
from cnn.output import Output

RECEPTIVE_FIELD = 9


@dataclasses.dataclass
class BagOfPartsConfig:
    """Architecture of a `BagOfParts`.

    Attributes:
        channels: Features of each window in its hidden layers, the last ones averaged.
    """

    channels: tuple[int, ...] = (64, 64)

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "BagOfParts":
        """Creates the network for images of (height, width, channels)."""
        return BagOfParts(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(self, channels=validation.each(validation.whole(), least=1))


class BagOfParts(nnx.Module):
    """The same dense layers on every 9x9 window of an image, a global average, a linear classifier.

    No window reaches over the edge of the image, for a padded one would show where it lies.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are smaller than a window, or a field has a value that no network
            can have.
    """

    def __init__(
        self,
        config: BagOfPartsConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        window = f"a window of {RECEPTIVE_FIELD}x{RECEPTIVE_FIELD}"
        validation.check_side(image_shape, RECEPTIVE_FIELD, window)
        self.image_shape = image_shape
        widths = (image_shape[-1], *config.channels)
        self.layers = nnx.List(
            Convolution(
                widths[layer],
                widths[layer + 1],
                RECEPTIVE_FIELD if layer == 0 else 1,
                rngs=rngs,
            )
            for layer in range(len(config.channels))
        )
        self.classifier = nnx.Linear(widths[-1], num_classes, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]."""
        windows = as_images(images, self.image_shape)
        for layer in self.layers:
            windows = nnx.relu(layer(windows))
        features = jnp.mean(windows, axis=(1, 2))
        return Output(self.classifier(features), features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
