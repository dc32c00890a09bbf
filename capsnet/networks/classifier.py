"""What networks with class capsules have in common: margin loss, reconstruction, plateaus."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from capsnet import losses
from capsnet.layers import DenseCapsules
from capsnet.networks.scores import Scores, capsule_scores
from capsnet.paths import centres
from cnn.arrays import as_float, as_images, as_labels
from cnn.decoder import Reconstructor
from cnn.losses import accuracy, multi_hot
from cnn.output import POSE_OFFSETS, Output, Views
from cnn.places import Places

# The activation of every class at the two dead ends of the margin loss: with ten classes, one of
# which is present, the loss sits at 0.81 when all are 0 and at 3.645 when all are 1.
_DEAD_ENDS = (0.0, 1.0)

Metrics = dict[str, Num[Array, ""]]


class CapsuleClassifier(nnx.Module):
    """Network that classifies by the lengths of class capsules, and decodes one of them.

    A subclass makes the attributes and has `_primary`, or other scores and another loss.

    Attributes:
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        margin_weight: Of the margin loss in the paper's units, which sum over classes.
        reconstruction_weight: Of the summed squared pixel error.
        class_capsules: The routed layer.
        decoder: Of the class capsules; None for none.
        places: Of the capsules that are routed to the classes; None where they lie on no map.
        remedy: That may help training off a plateau.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    margin_weight: float
    reconstruction_weight: float
    class_capsules: DenseCapsules
    decoder: Reconstructor | None
    places: Places | None = None
    remedy = "another seed or a lower learning rate"

    def _primary(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch capsules dim"]:
        """The input of the class capsules."""
        raise NotImplementedError

    def _scores(self, images: Float[Array, "batch height width channels"]) -> Scores:
        return capsule_scores(self.class_capsules, self._primary(images))

    def _objective(self, scores: Scores, labels: Int[ArrayLike, "..."]) -> tuple[Array, Metrics]:
        """The loss without the reconstruction, and its metrics."""
        activations = scores.activations
        margin = jnp.mean(losses.margin_loss(activations, multi_hot(labels, activations)))
        metrics = {"margin_loss": margin, "class_length": jnp.mean(activations)}
        return self.margin_weight * margin, metrics

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Finds the class capsules of images in [0, 1], and decodes the longest of each image.

        The lengths are the probabilities that an entity of each class is in the image, the logits
        their logarithms, and the features the longest capsule; with a routing that has activations
        of its own these are in the lengths' place. There are reconstructions if the network was
        built with a decoder.
        """
        scores = self._scores(as_images(images, self.image_shape))
        poses, decoded = scores.poses, self.decoder is not None
        winners = jnp.argmax(scores.logits, axis=-1)
        return Output(
            scores.logits,
            probabilities=scores.activations,
            lengths=scores.lengths,
            features=scores.winners(),
            poses=poses,
            couplings=scores.couplings,
            vote_logits=scores.vote_logits,
            reconstruction=self._decode(poses, winners) if decoded else None,
            class_reconstructions=self._decode_each(poses) if decoded else None,
        )

    def views(self, images: Num[ArrayLike, "batch height width channels"]) -> Views:
        """Sweeps over the pose of the longest class capsule, and the places of those below it."""
        scores = self._scores(as_images(images, self.image_shape))
        winners = jnp.argmax(scores.logits, axis=-1)
        places = self.places if scores.couplings is not None else None
        return Views(
            pose_sweeps=None if self.decoder is None else self._sweep(scores.poses, winners),
            capsule_places=None if places is None else centres(places, winners.shape[0]),
        )

    def _sweep(self, poses, winners):
        """Reconstructions `[batch, dim, steps, ...]` of poses with one component moved."""

        def decode_moved(component, offset):
            return self._decode(poses.at[:, :, component].add(offset), winners)

        over_offsets = jax.vmap(decode_moved, in_axes=(None, 0), out_axes=1)
        over_components = jax.vmap(over_offsets, in_axes=(0, None), out_axes=1)
        return over_components(jnp.arange(poses.shape[2]), jnp.asarray(POSE_OFFSETS, poses.dtype))

    def _decode(self, poses, labels):
        if self.decoder is None:
            raise ValueError("reconstruction_weight=0: this network has no decoder")
        mask = jax.nn.one_hot(labels, self.num_classes, dtype=poses.dtype)
        return self.decoder(poses, mask)

    def _decode_each(self, poses):
        def decode_one(label):
            return self._decode(poses, jnp.full(poses.shape[:1], label))

        return jax.vmap(decode_one, out_axes=1)(jnp.arange(self.num_classes))

    def reconstruct(
        self,
        output: Output,
        labels: Int[ArrayLike, "batch"] | None = None,
    ) -> Float[Array, "batch height width channels"]:
        """Decodes one class capsule of each image; pixels are in (0, 1).

        Args:
            output: The network's, of the images.
            labels: The class to decode, as in training; None takes the predicted class.

        Raises:
            ValueError: if the network was built without a decoder.
        """
        if labels is None:
            labels = jnp.argmax(output.logits, axis=-1)
        return self._decode(output.poses, as_labels(labels, output.logits.shape[0]))

    def loss(self, batch) -> tuple[Float[Array, ""], Metrics]:
        """Margin loss plus weighted reconstruction error, mean over the batch.

        Args:
            batch: Has `.images` in [0, 1] and `.labels` (integers), `[batch]`; or of images of
                several objects `[batch, objects]`, and `.objects`, `[batch, objects, height,
                width, channels]`: each is reconstructed by itself, from the capsule of its label,
                and the errors are added up.

        Returns:
            The loss, and as metrics the batch's accuracy in [0, 1], the margin loss in the
            paper's units (equation 4), the mean length of the class capsules and the summed
            squared reconstruction error per image.
        """
        scores = self._scores(as_images(batch.images, self.image_shape))
        loss, metrics = self._objective(scores, batch.labels)
        metrics = {"accuracy": accuracy(scores.logits, batch.labels), **metrics}
        if self.decoder is not None:
            error = jnp.mean(self._reconstruction_error(scores.poses, batch))
            loss = loss + self.reconstruction_weight * error
            metrics["reconstruction_error"] = error
        return loss, metrics

    def _reconstruction_error(self, poses, batch):
        """Summed squared error of each image, or the sum over its objects, decoded one by one."""
        labels = jnp.asarray(batch.labels)
        if labels.ndim == 1:
            decoded = [(labels, batch.images)]
        elif (objects := getattr(batch, "objects", None)) is None:
            raise ValueError(
                f"labels of shape {labels.shape}: objects are reconstructed one by one, so that "
                "the batch needs .objects, or the network reconstruction_weight=0"
            )
        else:
            decoded = [(labels[:, k], objects[:, k]) for k in range(labels.shape[1])]
        return sum(
            losses.reconstruction_loss(self._decode(poses, label), as_float(target))
            for label, target in decoded
        )

    def diagnose(self, metrics: dict[str, float]) -> str | None:
        """Names the plateau that training sits on, if it does.

        Args:
            metrics: Of `loss`, averaged over enough steps that the start of training is past.

        Returns:
            One line for the user, or None.
        """
        if "margin_loss" not in metrics:
            return None
        margin, mean = metrics["margin_loss"], metrics["class_length"]
        for end in _DEAD_ENDS:
            plateaus = _plateaus(end, self.num_classes)
            if abs(mean - end) < 0.02 and np.any(np.abs(margin - plateaus) < 0.02 * plateaus):
                return (
                    f"the margin loss sits at {margin:.3f}: the activations of all classes are "
                    f"near {end:.0f} (mean {mean:.3f}). Try {self.remedy}"
                )
        return None


def _plateaus(activation: float, num_classes: int) -> np.ndarray:
    """Margin losses where all classes have one activation: with 1 class present, with 2, and so on.

    With all of them active and present there is nothing to lose, which is no plateau: 0.
    """
    costs = losses.margin_loss(np.full((2, 1), activation, np.float32), np.eye(2)[:, :1])
    present, absent = np.asarray(costs, np.float64)
    count = np.arange(1, num_classes + 1)
    return count * present + (num_classes - count) * absent
