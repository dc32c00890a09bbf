"""Projective transforms (homographies) of images."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnn.arrays import widened
from stn.sampling.grids import affine_grid, identity_grid
from stn.transforms.affine import (
    Grid,
    Parameters,
    Points,
    SentPoints,
    Theta,
    checked,
    checked_pair,
    checked_points,
)

# Points nearer to the horizon than this, or behind it, have no image.
_HORIZON = 1e-6
# A coordinate far outside of every image, where they are sent instead.
_OUTSIDE = 1e6


@dataclasses.dataclass(frozen=True)
class Projective:
    """The first eight entries of a 3x3 homography, row by row; the ninth is 1.

    Points on or behind the horizon (with a homogeneous coordinate of zero or less) leave the
    image; dividing by their coordinate would fold them back into it.
    """

    num_parameters: int = dataclasses.field(default=8, init=False)

    @property
    def identity(self) -> np.ndarray:
        """The identity matrix without its last entry."""
        return np.eye(3).reshape(-1)[:8]

    def matrix(self, theta: Theta) -> Float[Array, "batch 3 3"]:
        """The homographies."""
        theta = checked(self, theta)
        padded = jnp.pad(theta, ((0, 0), (0, 1)), constant_values=1.0)
        return padded.reshape(theta.shape[0], 3, 3)

    def grid(self, theta: Theta, size: Sequence[int], *, align_corners: bool = False) -> Grid:
        """Sampling points `[batch, height, width, 2]` of an output of `size`."""
        matrix = self.matrix(widened(theta))
        numerators = affine_grid(matrix[:, :2], size, align_corners=align_corners)
        points = jnp.asarray(identity_grid(size, align_corners=align_corners), numerators.dtype)
        tilt = jnp.einsum("nj,hwj->nhw", matrix[:, 2, :2], points, precision=lax.Precision.HIGHEST)
        return _divide(numerators, tilt + 1.0)

    def apply(self, theta: Theta, points: Points) -> SentPoints:
        """Sends each map's own points through it, `[batch, points, 2]`."""
        theta, points = checked_points(self, theta, points)
        matrix = self.matrix(theta)
        homogeneous = jnp.concatenate([points, jnp.ones_like(points[..., :1])], axis=-1)
        sent = jnp.einsum("nij,npj->npi", matrix, homogeneous, precision=lax.Precision.HIGHEST)
        return _divide(sent[..., :2], sent[..., 2])

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """First, then second."""
        first, second = checked_pair(self, first, second)
        product = jnp.matmul(
            self.matrix(second), self.matrix(first), precision=lax.Precision.HIGHEST
        )
        return _parameters(product)

    def inverse(self, theta: Theta) -> Parameters:
        """The map back; not finite where the homography is singular."""
        return _parameters(jnp.linalg.inv(self.matrix(theta)))


def _divide(numerators, depth):
    """Perspective division; what is not in front of the camera goes far outside."""
    depth = depth[..., None]
    visible = ~(depth <= _HORIZON)  # what is not a number stays so
    # Two selects, so that no infinite quotient reaches the gradient.
    quotients = numerators / jnp.where(visible, depth, 1.0)
    return jnp.where(visible, quotients, _OUTSIDE)


def _parameters(matrix):
    entries = matrix.reshape(matrix.shape[0], 9)
    return entries[:, :8] / entries[:, 8:]
