"""A canonicaliser that learns the orientation of an image, as one of finitely many.

Kaba et al., "Equivariance with learned canonicalization functions" (2023); Mondal et al.,
"Equivariant adaptation of large pretrained models" (2023). Group convolutions score the elements of
a group of rotations, and the image is turned back by the one of the largest score.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images, check_axes, widened
from equivariant.canonicaliser import Canonical, Canonicaliser, Orientation, turn
from equivariant.group_convolution import GroupConvolution, LiftingConvolution
from equivariant.groups import MAX_ROTATIONS, Group
from equivariant.networks.cohen_welling import Layer


def choose(
    scores: Num[ArrayLike, "batch choices"],
) -> tuple[Float[Array, "batch choices"], Float[Array, "batch choices"]]:
    """Chooses the largest score, with the derivatives of the softmax (a straight-through estimate).

    Args:
        scores: Of which the first of equal ones counts.

    Returns:
        Weights, 1 for the chosen one and 0 for the others, and the logarithms of the softmax.
    """
    scores = as_float(scores)
    check_axes("scores", scores, "batch choices")
    log_probabilities = jax.nn.log_softmax(scores)
    chosen = jax.nn.one_hot(jnp.argmax(scores, axis=1), scores.shape[1], dtype=scores.dtype)
    soft = jnp.exp(log_probabilities)
    # The difference is exactly zero.
    return chosen + (soft - lax.stop_gradient(soft)), log_probabilities


def prior_loss(log_probabilities: Num[ArrayLike, "batch orientations"]) -> Float[Array, ""]:
    """Mean cross-entropy of the orientations with the identity, in nats: images are upright.

    The Kullback-Leibler divergence of the predicted distribution from the prior of Mondal et al.
    (2023), which is all at the identity: that of upright training images.

    Args:
        log_probabilities: The identity's first.
    """
    log_probabilities = as_float(log_probabilities)
    check_axes("log_probabilities", log_probabilities, "batch orientations")
    return -jnp.mean(log_probabilities[:, 0])


@dataclasses.dataclass(frozen=True)
class LearntOrientation(Canonicaliser):
    """The orientation of the largest score, one for each element of a group of rotations.

    Scores are means over fields and places of the last of several group convolutions, so turning
    the image permutes them. Defaults are those of Mondal et al. (2023) for quarter turns.

    Attributes:
        rotations: Number of orientations, from 2 to 64, evenly spaced.
        fields: Channels of each layer, for each orientation.
        layers: Convolutions, with batch normalisation, a ReLU and dropout between them.
        kernel_size: Of the first one, in pixels; 4 or more where there are angles other than 90
            degrees.
        inner_kernel_size: Of the others; 1, or as for the first.
        dropout: Share of values that is dropped in training, in [0, 1).
        prior_weight: Of `prior_loss` in the loss; 0 for training images in any orientation.
    """

    rotations: int = 4
    fields: int = 32
    layers: int = 3
    kernel_size: int = 5
    inner_kernel_size: int = 5
    dropout: float = 0.5
    prior_weight: float = 100.0

    def check(self) -> None:
        """Raises a `ValueError` for a value that no canonicaliser can have."""
        size = validation.whole(most=validation.MAX_UNROLLED)
        validation.check(
            self,
            rotations=validation.whole(2, MAX_ROTATIONS),
            fields=validation.whole(most=validation.MAX_SIZE // MAX_ROTATIONS),
            layers=size,
            kernel_size=size,
            inner_kernel_size=size,
            dropout=validation.share,
            prior_weight=validation.weight,
        )

    def build(self, image_shape: tuple[int, int, int], rngs: nnx.Rngs) -> "ScoredOrientation":
        """Creates the module for images of (height, width, channels)."""
        return ScoredOrientation(self, image_shape, rngs=rngs)


def sixty_four_angles() -> LearntOrientation:
    """Orientations 5.6 degrees apart: one oriented convolution, then 1x1 convolutions.

    The layers are those of Mondal et al. (2023) for groups of any number of rotations; an eighth of
    the fields, for there are sixteen times as many elements.
    """
    return LearntOrientation(64, fields=4, inner_kernel_size=1)


class ScoredOrientation(Orientation):
    """Group convolutions that score each orientation; see `LearntOrientation`.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if the images are too small or a field has a value that it cannot have.
    """

    def __init__(
        self, config: LearntOrientation, image_shape: tuple[int, int, int], *, rngs: nnx.Rngs
    ):
        config.check()
        validation.check_shape(image_shape)
        smallest = config.kernel_size + (config.layers - 1) * (config.inner_kernel_size - 1)
        validation.check_side(image_shape, smallest, "the canonicaliser's convolutions")
        group, fields, size = Group(config.rotations), config.fields, config.inner_kernel_size
        lifting = LiftingConvolution(group, image_shape[-1], fields, config.kernel_size, rngs=rngs)
        convolutions: list[Any] = [lifting] + [
            GroupConvolution(group, fields, fields, size, rngs=rngs)
            for _ in range(config.layers - 1)
        ]
        self.layers = nnx.List(Layer(each, fields, rngs=rngs) for each in convolutions[:-1])
        self.last = convolutions[-1]
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.prior_weight = config.prior_weight
        self.group = group

    def scores(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch orientations"]:
        """Scores each orientation; a turn of the image by one of them permutes the scores."""
        maps = widened(as_images(images))
        for layer in self.layers:
            maps = self.dropout(layer(maps))
        if self.last.kernel_size == 1:
            # The mean over places of what is linear in each place, at the cost of one place.
            maps = jnp.mean(maps, axis=(1, 2), keepdims=True)
        return jnp.mean(self.last(maps), axis=(1, 2, 4))

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Canonical:
        """Turns images back by the orientation of the largest score.

        The matrices, and not the angles, are those of the straight-through estimate: the mean of
        359 and 1 degrees is no angle between them.
        """
        weights, log_probabilities = choose(self.scores(images))
        # Turned back by g, an image has at y what it has at g y.
        matrices = np.stack([self.group.matrix(each) for each in range(self.group.size)])
        matrices = jnp.einsum(
            "bg,gij->bij",
            weights,
            matrices.astype(weights.dtype),
            precision=lax.Precision.HIGHEST,
        )
        return turn(images, matrices)._replace(log_probabilities=log_probabilities)
