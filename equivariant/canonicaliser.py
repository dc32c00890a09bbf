"""Canonicalisers: turn an image so that a network is shown all its rotations in one orientation.

Of a canonicaliser that turns with the image, the images that it makes do not change when the image
is turned, and so neither does any network's prediction behind it. `PrincipalAxis` reads the
orientation off moments; `LearntOrientation` learns it (Kaba et al., "Equivariance with learned
canonicalization functions", 2023; Mondal et al., "Equivariant adaptation of large pretrained
models", 2023).

Both are exact for quarter turns of square images. Other turns interpolate between pixels and lose
corners, and a learnt orientation is one of finitely many.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images, check_axes, widened
from equivariant.group_convolution import GroupConvolution, LiftingConvolution
from equivariant.groups import MAX_ROTATIONS, Group
from equivariant.networks.cohen_welling import Layer
from stn.sampling import sample
from stn.sampling.grids import affine_grid

# Of the spread of an image, below which it is as wide in all directions.
_ROUND = 1e-5


class Canonical(NamedTuple):
    """Images in their canonical orientation.

    Attributes:
        images: The turned images.
        grids: Where each of their pixels was read, (x, y) in [-1, 1] from edge to edge.
        log_probabilities: Of the orientations, where these are finitely many; the identity first.
    """

    images: Float[Array, "batch height width channels"]
    grids: Float[Array, "batch height width 2"]
    log_probabilities: Float[Array, "batch orientations"] | None = None


def turn(
    images: Num[ArrayLike, "batch height width channels"], matrices: Num[ArrayLike, "batch 2 2"]
) -> Canonical:
    """Reads images through maps of the plane about their centres, bilinearly; zeros lie outside.

    Args:
        images: Of any size.
        matrices: From a point of the output, (x, y) in pixels from the centre, to where it is read.
            An image whose matrix is not a number is none either.
    """
    images, matrices = as_images(images), widened(matrices)
    height, width = images.shape[1:3]
    # Normalised coordinates are pixels over half of width and height.
    shape = np.array([[1.0, height / width, 0.0], [width / height, 1.0, 0.0]])
    theta = jnp.pad(matrices, ((0, 0), (0, 0), (0, 1))) * shape.astype(matrices.dtype)
    grids = affine_grid(theta, (height, width))
    unknown = jnp.any(jnp.isnan(matrices), axis=(1, 2)).reshape(-1, 1, 1, 1)
    return Canonical(jnp.where(unknown, jnp.nan, sample(images, grids)), grids)


def principal_axis(
    images: Num[ArrayLike, "batch height width channels"],
) -> Float[Array, "batch 2"]:
    """Computes the direction in which an image's intensity spreads most, towards its longer tail.

    It is the eigenvector of the larger eigenvalue of the intensity's covariance, at the angle
    atan2(2 c_xy, c_xx - c_yy) / 2, with the sign that makes the third moment along it positive.

    Args:
        images: Not negative; all channels count alike.

    Returns:
        Unit vectors (x, y), y down; (0, 1) for an image that spreads evenly in all directions, as
        a black one does. Where an image is its own half turn, rounding chooses the sign.
    """
    intensity = jnp.sum(widened(as_images(images)), axis=-1)
    height, width = intensity.shape[1:]
    y, x = (np.mgrid[:height, :width] + 0.5) / max(height, width)
    x, y = jnp.asarray(x, intensity.dtype), jnp.asarray(y, intensity.dtype)
    mass = jnp.sum(intensity, axis=(1, 2), keepdims=True)
    share = intensity / jnp.where(mass == 0.0, 1.0, mass)

    def mean(values):
        return jnp.sum(share * values, axis=(1, 2), keepdims=True)

    x, y = x - mean(x), y - mean(y)
    xx, xy, yy = mean(x * x), mean(x * y), mean(y * y)
    along, across = xx - yy, 2.0 * xy
    even = jnp.hypot(*lax.stop_gradient((along, across))) <= _ROUND * lax.stop_gradient(xx + yy)
    # The angle has no derivative at (0, 0), which it is kept from.
    angle = jnp.arctan2(jnp.where(even, 0.0, across), jnp.where(even, -1.0, along)) / 2.0
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    sign = jnp.where(mean((cosine * x + sine * y) ** 3) < 0.0, -1.0, 1.0)
    sign = jnp.where(even, 1.0, sign).astype(angle.dtype)
    return jnp.concatenate([sign * cosine, sign * sine], axis=-1)[:, 0]


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
class Canonicaliser:
    """The configuration of a canonicaliser; a base of those below."""

    def check(self) -> None:
        """Raises a `ValueError` for a value that no canonicaliser can have."""

    def build(self, image_shape: tuple[int, int, int], rngs: nnx.Rngs) -> "Orientation":
        """Creates the module that turns images of (height, width, channels)."""
        raise NotImplementedError


class Orientation(nnx.Module):
    """From images to the same in their canonical orientation; a base of those below."""

    prior_weight: float = 0.0

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Canonical:
        """Turns images, which may be of any size that fits."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class PrincipalAxis(Canonicaliser):
    """Turns the axis along which intensity spreads most downwards, its longer tail below.

    Downwards, for digits and letters are taller than wide.
    """

    def build(self, image_shape: tuple[int, int, int], rngs: nnx.Rngs) -> "PrincipalOrientation":
        """Creates the module, which has no parameters."""
        validation.check_shape(image_shape)
        return PrincipalOrientation()


class PrincipalOrientation(Orientation):
    """See `PrincipalAxis`."""

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Canonical:
        """Turns images so that their principal axes point downwards."""
        x, y = jnp.moveaxis(principal_axis(images), -1, 0)
        # The rotation that takes (0, 1), where the axis is shown, to where it is read.
        rows = [jnp.stack([y, x], axis=-1), jnp.stack([-x, y], axis=-1)]
        return turn(images, jnp.stack(rows, axis=-2))


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

    The layers are those of Mondal et al. (2023) for groups of any number of rotations; a quarter of
    the fields, for there are sixteen times as many elements.
    """
    return LearntOrientation(64, fields=8, inner_kernel_size=1)


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
