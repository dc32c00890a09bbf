"""Capsules with a pose matrix and an activation of its own each: the first and the last layer.

Those between are `ConvolutionalCapsules` with `pose="matrix"`.
"""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Float, Num

from capsnet.layers.dense import DenseCapsules
from capsnet.layers.initializers import Initializer
from capsnet.routing import Capsules, Routed, Routing
from cnn import Convolution, validation
from cnn.arrays import as_float, check_axes


class MatrixPrimaryCapsules(nnx.Module):
    """Two 1x1 convolutions: poses of capsules and, with a sigmoid, their activations.

    Section 4 of Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018).

    Args:
        in_channels: Channels of the feature map.
        types: Capsules at a place.
        dim: Components of a pose.
        batch_norm: Whether poses and the logits of activations are batch-normalised, each type by
            itself and a pose's components alike, as by Ribeiro, Leontidis and Kollias (2020);
            without it the convolutions have a bias.
        dtype: Compute type of the convolutions.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        types: int,
        dim: int,
        *,
        batch_norm: bool = False,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(types=(types, size), dim=(dim, size))

        def convolution(out_channels, deviation, bias):
            return Convolution(
                in_channels,
                out_channels,
                1,
                use_bias=not batch_norm,
                kernel_init=nnx.initializers.normal(deviation),
                bias_init=nnx.initializers.constant(bias),
                dtype=dtype,
                rngs=rngs,
            )

        # As in the released code: capsules are clearly active or not, and those of blank places,
        # whose votes agree all too well, are rather not.
        self.poses = convolution(types * dim, 0.5, 0.0)
        self.activations = convolution(types, 3.0, -1.0)
        self.pose_norm = (
            nnx.BatchNorm(types, axis=-2, momentum=0.9, rngs=rngs) if batch_norm else None
        )
        self.activation_norm = nnx.BatchNorm(types, momentum=0.9, rngs=rngs) if batch_norm else None
        self.shape = (types, dim)

    def __call__(self, features: Num[ArrayLike, "batch height width channels"]) -> Capsules:
        """Makes capsules `[batch, height, width, types, dim]`, in float32."""
        poses = self.poses(features).astype(jnp.float32)
        poses = poses.reshape(*poses.shape[:3], *self.shape)
        logits = self.activations(features).astype(jnp.float32)
        if self.pose_norm is not None and self.activation_norm is not None:
            poses, logits = self.pose_norm(poses), self.activation_norm(logits)
        return Capsules(poses, nnx.sigmoid(logits))


class ClassCapsules(nnx.Module):
    """One capsule for each class, from a map: matrices of all places, and coordinates in the votes.

    Section 4 of Hinton, Sabour and Frosst (2018): as its matrix does not depend on the place, what
    a capsule votes for would not either; so the place's row and column are added to the first two
    entries of the vote matrix's last column.

    Args:
        size: Height and width of the map.
        types: Capsules at a place.
        dim: Components of a pose, a square number of at least 4.
        classes: Output capsules.
        routing: How votes become output capsules.
        coordinate_scale: What is added at the last row or column; at others in proportion. 0 adds
            nothing.
        kernel_init: Initialiser of the `[types, side, classes, side]` matrices.
        dtype: Compute type of the votes; routing is float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size or the scale is one that no layer has.
    """

    def __init__(
        self,
        size: tuple[int, int],
        types: int,
        dim: int,
        classes: int,
        *,
        routing: Routing,
        coordinate_scale: float = 1.0,
        kernel_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        validation.check_values(
            dim=(dim, validation.whole(4)), coordinate_scale=(coordinate_scale, validation.weight)
        )
        self.capsules = DenseCapsules(
            math.prod(size) * types,
            dim,
            classes,
            dim,
            routing=routing,
            transformations=types,
            pose="matrix",
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
        self.coordinate_scale = coordinate_scale

    def __call__(
        self,
        poses: Num[ArrayLike, "batch height width types dim"],
        activations: Num[ArrayLike, "batch height width types"],
    ) -> Routed:
        """Routes the votes of all capsules of a map.

        Args:
            poses: A map of capsules.
            activations: Theirs, in [0, 1].
        """
        poses, activations = as_float(poses), as_float(activations)
        check_axes("poses", poses, "batch height width types dim")
        batch, height, width, types, dim = poses.shape
        capsules = Capsules(
            poses.reshape(batch, height * width * types, dim),
            activations.reshape(batch, height * width * types),
        )
        places = self.coordinate_scale * coordinates(height, width, dim).repeat(types, axis=0)
        return self.capsules.vote_and_route(*capsules, added=places).with_activations()


def coordinates(height: int, width: int, dim: int) -> Float[np.ndarray, "places dim"]:
    """Row and column of each place, in (0, 1], where a pose matrix has them, row by row.

    Args:
        height: Of the map.
        width: Of the map.
        dim: Components of a pose.
    """
    side = math.isqrt(dim)
    found = np.zeros((height, width, dim), np.float32)
    found[..., side - 1] = np.arange(1, height + 1)[:, None] / height
    found[..., 2 * side - 1] = np.arange(1, width + 1) / width
    return found.reshape(height * width, dim)
