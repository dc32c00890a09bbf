"""One trunk with any head, loss and decoder: the parts of a capsule network one at a time.

Whether routing, or capsules at all, do what is said of them shows where nothing else differs: Gu,
Tresp and Hu, "Capsule network is not more robust than convolutional network" (2021); Hahn, Pyeon
and Kim, "Self-routing capsule networks" (2019). One choice of parts has a name of its own: Gu and
Tresp, "Improving the robustness of capsule networks to image affine transformations" (2020).
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet import losses
from capsnet.networks.classifier import CapsuleClassifier
from capsnet.networks.heads import CapsuleHead, Head, Map
from capsnet.networks.trunks import SabourTrunk, Trunk
from capsnet.routing import UniformRouting
from cnn import validation
from cnn.arrays import as_float, as_labels
from cnn.decoder import Decoder, DenseDecoder, check_decoder
from cnn.losses import classification_loss, multi_hot
from cnn.output import Output

LOSSES = ("margin", "spread", "cross-entropy")
# By how much the true class has to lead: the last of the schedule of the spread loss's paper.
_SPREAD = 0.9


@dataclasses.dataclass
class TrunkAndHeadConfig:
    """Architecture and loss of a `TrunkAndHead`.

    Attributes:
        trunk: From images to the map that the head reads.
        head: From that map to the classes.
        loss: "margin" or "spread" of the activations, or "cross-entropy" of the logits.
        reconstruction_weight: Weight of the summed squared pixel error; 0 leaves the decoder out,
            as it must with a head that has no vectors of the classes.
        decoder: From the vectors of the classes to the image.
        dtype: Compute type, "float32" or "bfloat16"; squash, routing and losses stay in float32.
    """

    trunk: Trunk = dataclasses.field(default_factory=SabourTrunk)
    head: Head = dataclasses.field(default_factory=CapsuleHead)
    loss: str = "margin"
    reconstruction_weight: float = 0.0
    decoder: Decoder = dataclasses.field(default_factory=DenseDecoder)
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "TrunkAndHead":
        """Creates the network for images of (height, width, channels)."""
        return TrunkAndHead(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check_part("trunk", self.trunk, Trunk)
        validation.check_part("head", self.head, Head)
        check_decoder(self.decoder)
        validation.check(
            self,
            loss=validation.one_of(*LOSSES),
            reconstruction_weight=validation.weight,
            dtype=validation.one_of(*validation.DTYPES),
        )


def affine_capsnet() -> TrunkAndHeadConfig:
    """CapsNet with shared transformations and no routing: AffCapsNet of Gu and Tresp (2020).

    All primary capsules share one matrix a class, and a class capsule is the squashed mean of its
    votes, so that where a capsule lies does not matter: 1,280 numbers in place of 1,474,560 and
    5,330,944 parameters on any grey images. The paper's trunk and decoder are not confirmed here;
    the trunk is CapsNet's own, and there is no decoder.
    """
    return TrunkAndHeadConfig(head=CapsuleHead(UniformRouting(), shared="all"))


class TrunkAndHead(CapsuleClassifier):
    """A trunk, a head, and a decoder of the head's vectors.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the trunk, a field has a value that no network
            can have, or there is nothing to reconstruct from.
    """

    def __init__(
        self,
        config: TrunkAndHeadConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, config.trunk.smallest_side, "the trunk")
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.kind_of_loss = config.loss
        self.margin_weight = 1.0
        self.reconstruction_weight = config.reconstruction_weight
        self.trunk = config.trunk.build(image_shape[-1], config.dtype, rngs)
        images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
        maps = nnx.eval_shape(lambda trunk, images: trunk(images), self.trunk, images).shape
        sizes = Map(maps[1] * maps[2], config.trunk.types, config.trunk.dim)
        self.places = config.trunk.places(image_shape)
        self.head = config.head.build(sizes, num_classes, config.dtype, rngs)
        self.decoder = self._decoder(config, images, rngs) if config.reconstruction_weight else None

    def _decoder(self, config, images, rngs):
        poses = nnx.eval_shape(lambda self, images: self._scores(images).poses, self, images)
        if poses is None:
            raise ValueError(
                f"reconstruction_weight={config.reconstruction_weight}: must be 0 with "
                f"{type(config.head).__name__}, which has no vectors of the classes"
            )
        classes, dim = poses.shape[1:]
        return config.decoder.build(classes, dim, self.image_shape, dtype=config.dtype, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1] by the activations that the head has for the classes.

        Cross-entropy trains the softmax of the logits alone, so that those are the probabilities
        then, and the activations, which it leaves undecided, are not.
        """
        output = super().__call__(images)
        trained = self.kind_of_loss != "cross-entropy"
        return output if trained else output._replace(probabilities=None)

    def _scores(self, images):
        return self.head(self.trunk(images))

    def _objective(self, scores, labels):
        if self.kind_of_loss == "cross-entropy":
            loss, _ = classification_loss(scores.logits, labels)
            return loss, {}
        if self.kind_of_loss == "spread":
            activations = scores.activations
            # There is one true class that has to lead.
            one_hot = multi_hot(as_labels(labels, activations.shape[0]), activations)
            spread = losses.spread_loss(activations, one_hot, margin=_SPREAD)
            return jnp.mean(spread), {"spread_loss": jnp.mean(spread)}
        return super()._objective(scores, labels)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of the trunk's layers, by name; images may be of any size that fits."""
        return self.trunk.activations(as_float(images))
