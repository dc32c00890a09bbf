"""Any classifier, with a penalty on the change of its predictions under moves of the image."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images
from cnn.networks.plain import ConvolutionalNetworkConfig
from equivariant.penalties import Penalty, TangentPenalty

_OPTIONAL = ("activations", "views", "diagnose")


@dataclasses.dataclass
class PenalisedConfig:
    """A network and the invariance that its loss asks for.

    Attributes:
        network: Configuration of a classifier, a dataclass with `build`.
        penalty: A type that derives from `equivariant.penalties.Penalty`.
    """

    network: Any = dataclasses.field(default_factory=ConvolutionalNetworkConfig)
    penalty: Penalty = dataclasses.field(default_factory=TangentPenalty)

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "PenalisedNetwork":
        """Creates the network for images of (height, width, channels)."""
        return PenalisedNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(self, network=validation.network)
        validation.check_part("penalty", self.penalty, Penalty)


class PenalisedNetwork(nnx.Module):
    """A classifier that is trained with a penalty, and is otherwise as it was.

    Args:
        config: The classifier and the penalty.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the moves.

    Raises:
        ValueError: if a field has a value that no network can have, or the classifier cannot be
            built for such images.
    """

    def __init__(
        self,
        config: PenalisedConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        self.image_shape = image_shape
        self.penalty = config.penalty
        self.network = config.network.build(image_shape, num_classes, rngs)
        self.moves = rngs["moves"].fork()

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Any:
        """Classifies images in [0, 1] by the network alone."""
        return self.network(images)

    def __getattr__(self, name: str) -> Any:
        """Finds methods that only some networks have."""
        if name in _OPTIONAL:
            return getattr(self.network, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Loss of the network plus the weighted mean penalty.

        Args:
            batch: Has `.images` in [0, 1] and `.labels`.

        Returns:
            The loss, and as metrics those of the network and the penalty without its weight.
        """
        images = as_images(batch.images, self.image_shape)
        # The loss may change running averages; the penalty looks at copies of what there was.
        graph, variables = nnx.split(self.network)
        loss, metrics = self.network.loss(batch)

        def log_probabilities(images):
            network = nnx.merge(graph, variables, copy=True)
            return jax.nn.log_softmax(network(images).logits)

        amounts = self.penalty.moves.draw(self.moves(), images.shape[0])
        penalty = jnp.mean(self.penalty(log_probabilities, images, amounts))
        return loss + self.penalty.weight * penalty, {**metrics, "penalty": penalty}
