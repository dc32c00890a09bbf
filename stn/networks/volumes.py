"""A spatial transformer of volumes in front of a classifier of their projection.

Appendix A.3 of Jaderberg et al. (2015): an affine transformer turns an extruded digit so that it
can be read off a projection along the depth, with nothing to learn from but the digit's class. The
paper does not give its layers; those here are small.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import Output, classification_loss, validation
from cnn.arrays import as_images
from cnn.pooling import average_pool
from stn.layers.localisation import DenseLocalisation
from stn.layers.transformer import SpatialTransformer
from stn.networks.classifiers import ConvolutionalClassifier
from stn.transforms import Affine


@dataclasses.dataclass
class VolumeNetworkConfig:
    """Architecture of a `VolumeNetwork`.

    Attributes:
        output: Depth, height and width of the transformed volumes, in voxels; the classifier's
            images have that height and width.
        shrink: Factor by which average pooling shrinks the volumes for the localisation network.
        width: Filters of the classifier's convolutions.
    """

    output: int = 32
    shrink: int = 4
    width: int = 32

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "VolumeNetwork":
        """Creates the network for volumes of (depth, height, width, channels)."""
        return VolumeNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(
            self,
            # Cubed, so a larger one fits into no memory.
            output=validation.whole(ConvolutionalClassifier.smallest_side, 256),
            shrink=validation.whole(),
            width=validation.whole(),
        )


class VolumeLocalisation(nnx.Module):
    """Average pooling, then three dense layers of 32 units.

    Args:
        volume_shape: Depth, height, width and channels of the volumes.
        shrink: Voxels along each side of a pooling window.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the volumes are not of four axes, or smaller than a window.
    """

    def __init__(self, volume_shape: tuple[int, ...], *, shrink: int, rngs: nnx.Rngs):
        validation.check_shape(volume_shape, axes=4)
        validation.check_values(shrink=(shrink, validation.whole()))
        if min(volume_shape[:3]) < shrink:
            raise ValueError(
                f"volumes of shape {volume_shape} are too small to be pooled by "
                f"shrink={shrink}; the smallest side that fits is {shrink}"
            )
        depth, height, width = (side // shrink for side in volume_shape[:3])
        self.shrink, self.volume_shape = shrink, volume_shape
        self.dense = DenseLocalisation((depth, height, width * volume_shape[3]), rngs=rngs)
        self.num_features = self.dense.num_features

    def __call__(
        self, images: Num[ArrayLike, "batch depth height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each volume."""
        window = (self.shrink,) * 3
        images = as_images(images, self.volume_shape)
        small = average_pool(images, window)
        return self.dense(small.reshape(*small.shape[:3], small.shape[3] * small.shape[4]))


class VolumeNetwork(nnx.Module):
    """Localisation, a 3x4 affine map, trilinear reading, projection along the depth, classifier.

    Args:
        config: The architecture.
        volume_shape: Depth, height, width and channels of the volumes.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the volumes are smaller than a pooling window, or a field has a value that no
            network can have.
    """

    def __init__(
        self,
        config: VolumeNetworkConfig,
        volume_shape: tuple[int, ...],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(volume_shape, num_classes, axes=4)
        self.transformer = SpatialTransformer(
            VolumeLocalisation(volume_shape, shrink=config.shrink, rngs=rngs),
            Affine(dims=3),
            output_size=(config.output,) * 3,
            rngs=rngs,
        )
        self.classifier = ConvolutionalClassifier(
            (config.output, config.output, volume_shape[-1]),
            num_classes,
            width=config.width,
            rngs=rngs,
        )

    def project(
        self, volumes: Num[ArrayLike, "batch depth height width channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """The transformed volumes, averaged along their depth."""
        return jnp.mean(self.transformer(volumes).images, axis=1)

    def __call__(self, volumes: Num[ArrayLike, "batch depth height width channels"]) -> Output:
        """Classifies volumes in [0, 1], by their projections."""
        return self.classifier(self.project(volumes))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
