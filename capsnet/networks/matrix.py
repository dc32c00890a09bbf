"""The network of Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018).

Two presets: the default is the larger network of the paper, `small` the smaller one.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Num

from capsnet import losses
from capsnet.networks.matrix_layers import MatrixLayers, MatrixLayersConfig
from cnn import validation
from cnn.arrays import as_labels
from cnn.losses import accuracy


@dataclasses.dataclass
class MatrixCapsNetConfig(MatrixLayersConfig):
    """Architecture and loss of a `MatrixCapsNet`.

    The default has 317,194 parameters on images of two channels and five classes, which is 310 K in
    units of 1,024 as the paper has it, and `small` 68,754, for which it has 68 K: the two constants
    of each type of capsule, and the biases of the convolutions, are counted.

    Attributes:
        margin_period: Steps over which the spread loss's margin grows; see
            `capsnet.losses.spread_margin`.
    """

    margin_period: int = 50_000

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "MatrixCapsNet":
        """Creates the network for images of (height, width, channels)."""
        return MatrixCapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        super().check()
        validation.check(self, margin_period=validation.whole(most=2**31 - 1))


def small() -> MatrixCapsNetConfig:
    """The paper's smaller network: A = 64, B = 8, C = D = 16."""
    return MatrixCapsNetConfig(64, 8, (16, 16))


class MatrixCapsNet(MatrixLayers):
    """Convolution, primary, convolutional and class capsules with EM routing; spread loss.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers, or a field has a value that no
            network can have.
    """

    def __init__(
        self,
        config: MatrixCapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        super().__init__(config, image_shape, num_classes, rngs=rngs)
        self.margin_period = config.margin_period
        self.steps_done = nnx.Variable(jnp.zeros((), jnp.int32))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Spread loss, mean over the batch; each call counts as a step of the margin's schedule.

        Args:
            batch: Has `.images` in [0, 1] and `.labels` (integers).

        Returns:
            The loss, and as metrics the batch's accuracy in [0, 1], the margin of this step and the
            mean activation of the class capsules.
        """
        *_, activations = self.classes(batch.images)
        labels = as_labels(batch.labels, activations.shape[0])
        one_hot = jax.nn.one_hot(labels, self.num_classes, dtype=activations.dtype)
        margin = losses.spread_margin(self.steps_done[...], self.margin_period)
        self.steps_done[...] += 1
        return jnp.mean(losses.spread_loss(activations, one_hot, margin=margin)), {
            "accuracy": accuracy(activations, labels),
            "margin": margin,
            "class_activation": jnp.mean(activations),
        }
