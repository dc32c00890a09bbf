"""A plain convolutional classifier that also reconstructs: a control for CapsNet's decoder.

Frosst, Sabour and Hinton (2018), "DARCCC", detect adversarial images by their reconstruction error,
in capsule networks and in CNNs that reconstruct from a part of their last hidden layer. With the
same decoder, given the class in the same way, what is left between the two is the capsules.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn import validation
from cnn.arrays import as_float, as_labels, check_same_shape
from cnn.decoder import Decoder, DenseDecoder, check_decoder
from cnn.losses import classification_loss
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.output import Output


@dataclasses.dataclass
class ReconstructingNetworkConfig:
    """Architecture and loss of a `ReconstructingNetwork`.

    Attributes:
        network: The classifier; one more hidden layer follows its own, with `class_dim` units for
            each class. Its dropout is that of the classifier alone.
        class_dim: Units of each class that the decoder receives.
        reconstruction_weight: Of the summed squared pixel error, positive.
        decoder: From the units of all classes, but one of them masked, to the image.
    """

    network: ConvolutionalNetworkConfig = dataclasses.field(
        default_factory=lambda: ConvolutionalNetworkConfig(
            pooling=("max2", "max2", "none"), dense=(674,)
        )
    )
    class_dim: int = 16
    reconstruction_weight: float = 0.0005
    decoder: Decoder = dataclasses.field(default_factory=DenseDecoder)

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "ReconstructingNetwork":
        """Creates the network for images of (height, width, channels)."""
        return ReconstructingNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        self.network.check()
        validation.check(
            self,
            class_dim=validation.whole(),
            reconstruction_weight=validation.number(0.0, validation.MAX_WEIGHT, beyond=True),
        )
        check_decoder(self.decoder)


def matched() -> ReconstructingNetworkConfig:
    """CapsNet's decoder on a CNN of its size.

    8,213,596 parameters on 28x28 grey images and 10 classes, 0.02 % below CapsNet's 8,215,568; the
    decoder has 1,411,344 of either.
    """
    return ReconstructingNetworkConfig()


class ReconstructingNetwork(nnx.Module):
    """A `ConvolutionalNetwork` and a decoder of its last hidden layer, one class at a time.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if the images are too small for the convolutions and poolings, or a field has
            a value that no network can have.
    """

    def __init__(
        self,
        config: ReconstructingNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        self.shape = (num_classes, config.class_dim)
        self.reconstruction_weight = config.reconstruction_weight
        widths = (*config.network.dense, num_classes * config.class_dim)
        network = dataclasses.replace(config.network, dense=widths)
        self.network = network.build(image_shape, num_classes, rngs)
        self.decoder = config.decoder.build(*self.shape, image_shape, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1], and decodes the predicted class of each.

        The features are what classifier and decoder are given: the units of all classes.
        """
        output = self.network(images)
        return output._replace(reconstruction=self.reconstruct(output))

    def reconstruct(
        self, output: Output, labels: Int[ArrayLike, "batch"] | None = None
    ) -> Float[Array, "batch height width channels"]:
        """Decodes one class's units of each image; pixels are in (0, 1).

        Args:
            output: The network's, of the images.
            labels: The class to decode, as in training; None takes the predicted class.
        """
        if labels is None:
            labels = jnp.argmax(output.logits, axis=-1)
        labels = as_labels(labels, output.logits.shape[0])
        vectors = jnp.reshape(jnp.asarray(output.features), (labels.shape[0], *self.shape))
        mask = jax.nn.one_hot(labels, self.shape[0], dtype=vectors.dtype)
        return self.decoder(vectors, mask)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy plus weighted reconstruction error, mean over the batch.

        Args:
            batch: Has `.images` in [0, 1] and `.labels` (integers).

        Returns:
            The loss, and as metrics the batch's accuracy in [0, 1] and the summed squared
            reconstruction error per image.
        """
        output = self.network(batch.images)
        loss, metrics = classification_loss(output.logits, batch.labels)
        decoded = self.reconstruct(output, batch.labels)
        images = as_float(batch.images).astype(decoded.dtype)
        check_same_shape(reconstructions=decoded, images=images)
        error = jnp.mean(jnp.sum(jnp.square(decoded - images), axis=(1, 2, 3)))
        loss = loss + self.reconstruction_weight * error
        return loss, {**metrics, "reconstruction_error": error}
