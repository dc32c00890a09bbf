"""A convolutional network for images that show several classes at once.

The baseline of Sabour, Frosst and Hinton (2017), section 6, on overlapping digits: each class has a
sigmoid of its own, and the classes with the largest ones are predicted.
"""

import dataclasses

import jax
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.losses import multi_label_loss
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.output import Output


@dataclasses.dataclass
class MultiLabelNetworkConfig:
    """Architecture of a `MultiLabelNetwork`.

    Attributes:
        network: Whose logits are the log-odds of the classes; by default that of the paper.
    """

    network: ConvolutionalNetworkConfig = dataclasses.field(
        default_factory=lambda: ConvolutionalNetworkConfig(
            channels=(512, 256),
            kernel_size=(9, 5),
            pooling=("max2", "max2"),
            dense=(1024,),
            dropout=0.0,
        )
    )

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "MultiLabelNetwork":
        """Creates the network for images of (height, width, channels)."""
        return MultiLabelNetwork(self, image_shape, num_classes, rngs=rngs)


def paper() -> MultiLabelNetworkConfig:
    """The baseline of the paper: 24,563,978 parameters on 36x36 grey images and 10 classes."""
    return MultiLabelNetworkConfig()


def small() -> MultiLabelNetworkConfig:
    """The smaller network that the paper widened step by step: 2,711,946 parameters.

    Two convolutions of 32 and 64 channels with 5x5 kernels and a hidden layer of 512 units.
    """
    return MultiLabelNetworkConfig(
        ConvolutionalNetworkConfig(
            channels=(32, 64),
            kernel_size=5,
            pooling=("max2", "max2"),
            dense=(512,),
            dropout=0.0,
        )
    )


class MultiLabelNetwork(nnx.Module):
    """A `ConvolutionalNetwork` with a sigmoid over each of its logits.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: as `ConvolutionalNetwork`.
    """

    def __init__(
        self,
        config: MultiLabelNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        self.network = config.network.build(image_shape, num_classes, rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Finds the probability that each class is in images in [0, 1], on its own.

        The logits are the logarithms of these probabilities, which do not add up to 1.
        """
        output = self.network(images)
        return output._replace(
            logits=jax.nn.log_sigmoid(output.logits), probabilities=jax.nn.sigmoid(output.logits)
        )

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature maps of the network, as `ConvolutionalNetwork.activations`."""
        return self.network.activations(images)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Sigmoid cross-entropy, summed over classes, mean over the batch.

        Args:
            batch: Has `.images` in [0, 1] and `.labels`, integers, `[batch, objects]`.

        Returns:
            The loss in nats, and as a metric the share of images of which all labels are among as
            many largest logits.
        """
        return multi_label_loss(self.network(batch.images).logits, batch.labels)
