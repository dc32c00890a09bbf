"""Convolutional capsules, routed: from those in a window to those at a place of the next map."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.layers.dense import DenseCapsules
from capsnet.layers.initializers import Initializer
from capsnet.layers.places import Windows
from capsnet.paths import received
from capsnet.routing import DynamicRouting, Routing
from capsnet.vectors import length
from cnn import validation
from cnn.arrays import as_float, check_axes


class RoutedMap(NamedTuple):
    """A map of capsules that a routing decided.

    Attributes:
        poses: Output capsules.
        couplings: Share of each input capsule of a window that went to each output capsule there;
            a window's places row by row, the types of a place one after another.
        activations: How far each output capsule is active, in [0, 1] with a routing that
            `activates`; else the length of its pose, which may be larger.
    """

    poses: Float[Array, "batch out_height out_width types dim"]
    couplings: Float[Array, "batch out_height out_width in types"]
    activations: Float[Array, "batch out_height out_width types"]


class ConvolutionalCapsules(nnx.Module):
    """Capsules with a matrix for each place of a window, input type and output type.

    Section 2 of Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018). The matrices
    are those of all places; each place routes the votes of its own window, and only a routing that
    says so lets capsules of several places compete for an input capsule.

    Args:
        in_types: Capsules at a place of the input.
        in_dim: Components of their poses.
        out_types: Capsules at a place of the output.
        out_dim: Components of their poses.
        kernel_size: Of a window, in places along both sides.
        strides: Between windows, in places.
        padding: "VALID" (none) or "SAME" (capsules of zeros, output size = ceil(size / stride)).
        routing: How votes become output capsules.
        pose: "vector" or "matrix", as of `DenseCapsules`.
        kernel_init: Initialiser of the matrices, whose first axis runs over the places of a window
            and the input types.
        bias_init: Initialiser of the `[out_types, out_dim]` bias that the routing adds; None for
            none, as of `DenseCapsules`.
        dtype: Compute type of the votes; routing is float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or does not fit the others, or a name is unknown.
    """

    def __init__(
        self,
        in_types: int,
        in_dim: int,
        out_types: int,
        out_dim: int,
        *,
        kernel_size: int = 3,
        strides: int = 1,
        padding: str = "VALID",
        routing: Routing = DynamicRouting(),  # noqa: B008  frozen
        pose: str = "vector",
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_values(
            in_types=(in_types, size),
            kernel_size=(kernel_size, size),
            strides=(strides, size),
            padding=(padding, validation.one_of("SAME", "VALID")),
        )
        self.capsules = DenseCapsules(
            kernel_size**2 * in_types,
            in_dim,
            out_types,
            out_dim,
            routing=routing,
            pose=pose,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=dtype,
            rngs=rngs,
        )
        self.in_types = in_types
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding

    def __call__(
        self,
        poses: Num[ArrayLike, "batch height width types dim"],
        activations: Num[ArrayLike, "batch height width types"] | None = None,
        *,
        previous: Num[ArrayLike, "batch out_height out_width out_types out_dim"] | None = None,
    ) -> RoutedMap:
        """Routes the votes of each window.

        Args:
            poses: A map of capsules.
            activations: Theirs, in [0, 1]; None takes the lengths of their poses.
            previous: Poses of the output map, as of `DenseCapsules`.

        Raises:
            ValueError: if the map is smaller than a window, or has other capsules than the layer
                was built for.
        """
        poses, sizes = as_float(poses), (self.in_types, self.capsules.in_dim)
        check_axes("poses", poses, "batch height width types dim")
        if poses.shape[3:] != sizes:
            raise ValueError(
                f"poses of shape {poses.shape}: must be [batch, height, width, types, dim] with "
                f"[types, dim] = {sizes}, as this layer was built"
            )
        activations = length(poses) if activations is None else as_float(activations)
        poses, activations = self._padded(poses), self._padded(activations)
        windows = Windows(poses.shape[1:3], self.kernel_size, self.strides)
        shape = (poses.shape[0], *windows.out_size)
        routed = self.capsules(
            _merged(windows.take(poses), 1),
            _merged(windows.take(activations), 0),
            softmax=self._softmax(windows, shape, poses.shape[3]),
            previous=None if previous is None else _places_as_images(as_float(previous)),
        )
        parts = (part for part in routed if part is not None)
        return RoutedMap(*(part.reshape(*shape, *part.shape[1:]) for part in parts))

    def received(
        self,
        shares: Float[Array, "batch out_height out_width types"],
        couplings: Float[Array, "batch out_height out_width in types"],
        activations: Float[Array, "batch height width in_types"],
    ) -> Float[Array, "batch height width in_types"]:
        """Shares of input capsules, of those of output capsules; see `capsnet.paths.received`.

        Args:
            shares: Of the output capsules.
            couplings: That the layer returned with them.
            activations: Of the input capsules; ones for capsules without any.
        """
        height, width = activations.shape[1:3]
        padded, pads = self._padded(activations), self._pads(activations)
        windows = Windows(padded.shape[1:3], self.kernel_size, self.strides)
        weights = _merged(windows.take(padded), 0)
        of_windows = received(_places_as_images(shares), _places_as_images(couplings), weights)
        found = windows.add(
            of_windows.reshape(*shares.shape[:3], self.kernel_size**2, activations.shape[3])
        )
        (top, _), (left, _) = pads
        return found[:, top : top + height, left : left + width]

    def _softmax(self, windows, shape, types):
        def softmax(logits):
            places = logits.reshape(*shape, self.kernel_size**2, types, logits.shape[-1])
            return windows.softmax(places).reshape(logits.shape)

        return softmax

    def _pads(self, values):
        sides = (self.kernel_size,) * 2, (self.strides,) * 2
        return lax.padtype_to_pads(values.shape[1:3], *sides, self.padding)

    def _padded(self, values):
        return jnp.pad(values, ((0, 0), *self._pads(values), *[(0, 0)] * (values.ndim - 3)))


def _merged(values, kept):
    """Windows `[batch, height, width, window, types, ...]` as `[images, in, ...]`."""
    rest = values.shape[values.ndim - kept :]
    inputs = values.shape[3] * values.shape[4]
    places = _places_as_images(values)
    return places.reshape(places.shape[0], inputs, *rest)


def _places_as_images(values):
    """A map `[batch, height, width, ...]` as `[images, ...]`."""
    return values.reshape(math.prod(values.shape[:3]), *values.shape[3:])
