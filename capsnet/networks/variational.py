"""The network of Ribeiro, Leontidis and Kollias, "Capsule routing via variational Bayes" (2020)."""

import dataclasses

from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.networks.matrix_layers import MatrixLayers, MatrixLayersConfig
from capsnet.routing import Routing, VariationalBayesRouting
from cnn.losses import classification_loss
from cnn.output import Output, log_probabilities


@dataclasses.dataclass
class VariationalCapsNetConfig(MatrixLayersConfig):
    """Architecture of a `VariationalCapsNet`; its fields are those of `MatrixLayersConfig`.

    As it comes it has 68,714 parameters on images of two channels and five classes, and 67,114 on
    those of one channel.
    """

    convolution_channels: int = 64
    primary_types: int = 8
    capsule_types: tuple[int, ...] = (16, 16)
    coordinate_scale: float = 0.1
    routing: Routing = dataclasses.field(
        default_factory=lambda: VariationalBayesRouting(batch_norm=True)
    )

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "VariationalCapsNet":
        """Creates the network for images of (height, width, channels)."""
        return VariationalCapsNet(self, image_shape, num_classes, rngs=rngs)


class VariationalCapsNet(MatrixLayers):
    """Matrix capsules with variational Bayes routing and batch normalisation; cross-entropy.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers, or a field has a value that no
            network can have.
    """

    batch_norm = True

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Finds the class capsules of images in [0, 1].

        The logits are the logarithms of their activations, and the probabilities, as in the loss,
        those activations scaled to add up to one: the softmax of the logits.
        """
        return super().__call__(images)._replace(probabilities=None)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Cross-entropy of a batch, of activations that are scaled to add up to one.

        The released code takes the activations for logits, the softmax of which gives no class more
        than e / (e + classes - 1).

        Args:
            batch: Has `.images` in [0, 1] and `.labels` (integers).

        Returns:
            The loss in nats, and the batch's accuracy in [0, 1] as a metric.
        """
        *_, activations = self.classes(batch.images)
        return classification_loss(log_probabilities(activations), batch.labels)
