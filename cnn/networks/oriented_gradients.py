"""A linear classifier of histograms of oriented gradients: features that are designed, not learnt.

Of the ways to predictions that small moves do not change, the one that learns nothing of it (Dalal
and Triggs, 2005).
"""

import dataclasses

from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images, flatten
from cnn.losses import classification_loss
from cnn.oriented_gradients import oriented_gradients
from cnn.output import Output


@dataclasses.dataclass
class OrientedGradientsConfig:
    """Features of an `OrientedGradientsClassifier`; see `cnn.oriented_gradients`.

    12,970 parameters on 28x28 images and 10 classes.

    Attributes:
        orientations: Bins of half a circle.
        cell: Side of a cell, in pixels.
        block: Side of a block that is normalised, in cells.
    """

    orientations: int = 9
    cell: int = 4
    block: int = 2

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "OrientedGradientsClassifier":
        """Creates the classifier for images of (height, width, channels)."""
        return OrientedGradientsClassifier(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no classifier can have."""
        validation.check(
            self,
            orientations=validation.whole(1, 360),
            cell=validation.whole(),
            block=validation.whole(1, validation.MAX_UNROLLED),
        )


class OrientedGradientsClassifier(nnx.Module):
    """Histograms of oriented gradients, and a linear layer.

    Args:
        config: The features.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are smaller than a block, or a field has a value that no
            classifier can have.
    """

    def __init__(
        self,
        config: OrientedGradientsConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        side = config.cell * config.block
        validation.check_side(image_shape, side, f"a block of {side}x{side}")
        self.config = config
        self.image_shape = image_shape
        places = [size // config.cell - config.block + 1 for size in image_shape[:2]]
        width = places[0] * places[1] * config.block**2 * config.orientations
        self.classifier = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]."""
        images = as_images(images, self.image_shape)
        blocks = oriented_gradients(images, **dataclasses.asdict(self.config))
        features = flatten(blocks)
        return Output(self.classifier(features), features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
