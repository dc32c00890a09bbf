"""Canonicalisers: turn an image so that a network is shown all its rotations in one orientation.

Where a canonicaliser's orientation turns with the image, the images that it makes do not change
when the image is turned, and so neither does any network's prediction behind it. `PrincipalAxis`
reads the orientation off moments; `equivariant.learnt_canonicaliser` learns it. Both are exact for
quarter turns of square images; other turns interpolate between pixels and lose corners.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images, widened
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


@dataclasses.dataclass(frozen=True)
class Canonicaliser:
    """The configuration of a canonicaliser; a base of those of each kind."""

    def check(self) -> None:
        """Raises a `ValueError` for a value that no canonicaliser can have."""

    def build(self, image_shape: tuple[int, int, int], rngs: nnx.Rngs) -> "Orientation":
        """Creates the module that turns images of (height, width, channels)."""
        raise NotImplementedError


class Orientation(nnx.Module):
    """From images to the same in their canonical orientation; a base of those of each kind."""

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
