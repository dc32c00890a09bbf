"""Any classifier behind a canonicaliser, which turns its images into one orientation."""

import dataclasses
from typing import Any

from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.output import Output, Warp
from equivariant.canonicaliser import Canonicaliser, PrincipalAxis
from equivariant.learnt_canonicaliser import prior_loss

_OF_IMAGES = ("activations", "views")


@dataclasses.dataclass
class CanonicalisedConfig:
    """A network and the canonicaliser in front of it.

    Attributes:
        network: Configuration of a classifier, a dataclass with `build`.
        canonicaliser: A type that derives from `equivariant.canonicaliser.Canonicaliser`.
    """

    network: Any = dataclasses.field(default_factory=ConvolutionalNetworkConfig)
    canonicaliser: Canonicaliser = dataclasses.field(default_factory=PrincipalAxis)

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "CanonicalisedNetwork":
        """Creates the network for images of (height, width, channels)."""
        return CanonicalisedNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(self, network=validation.network)
        validation.check_part("canonicaliser", self.canonicaliser, Canonicaliser)


class CanonicalBatch:
    """A batch with its images in their canonical orientation, and whatever else it has.

    Args:
        batch: Of any type.
        images: In the place of its own.
    """

    def __init__(self, batch: Any, images: Float[Array, "batch height width channels"]):
        self._batch, self.images = batch, images

    def __getattr__(self, name: str) -> Any:
        """Finds what the batch has besides its images."""
        return getattr(self._batch, name)


class CanonicalisedNetwork(nnx.Module):
    """A classifier that sees each image in its canonical orientation.

    Args:
        config: The classifier and the canonicaliser.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a field has a value that no network can have, or classifier or canonicaliser
            cannot be built for such images.
    """

    def __init__(
        self,
        config: CanonicalisedConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        self.image_shape = image_shape
        self.network = config.network.build(image_shape, num_classes, rngs)
        self.orientation = config.canonicaliser.build(image_shape, rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Any:
        """Classifies images in [0, 1]; what is reconstructed is the turned image.

        The warp is the canonicaliser's, unless the network has one itself.
        """
        turned = self.orientation(as_images(images, self.image_shape))
        output = self.network(turned.images)
        if not isinstance(output, Output) or output.warp is not None:
            return output
        return output._replace(warp=Warp(turned.images[:, None], turned.grids[:, None]))

    def __getattr__(self, name: str) -> Any:
        """Finds methods that only some networks have; those of images see the turned ones."""
        if name == "diagnose":
            return self.network.diagnose
        if name in _OF_IMAGES:
            method = getattr(self.network, name)
            return lambda images: method(self.orientation(images).images)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Takes the network's own loss of the turned images, and adds the weighted prior.

        Args:
            batch: Has `.images` in [0, 1] and `.labels`.

        Returns:
            The loss, and as metrics those of the network and, of a learnt canonicaliser, the
            prior's loss without its weight.
        """
        turned = self.orientation(as_images(batch.images, self.image_shape))
        loss, metrics = self.network.loss(CanonicalBatch(batch, turned.images))
        if turned.log_probabilities is None:
            return loss, metrics
        prior = prior_loss(turned.log_probabilities)
        return loss + self.orientation.prior_weight * prior, {**metrics, "prior": prior}
