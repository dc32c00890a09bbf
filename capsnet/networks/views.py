"""Links of winning paths, as networks put them together."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from capsnet.layers import ConvolutionalCapsules
from capsnet.layers.convolutional import RoutedMap
from capsnet.paths import Link, received
from cnn.arrays import flatten
from cnn.places import Places


def link_of_map(
    layer: ConvolutionalCapsules,
    routed: RoutedMap,
    activations: Float[Array, "batch height width types"],
    places: Places,
) -> Link:
    """The link of convolutional capsules.

    Args:
        layer: The capsules.
        routed: What it routed.
        activations: Of its input capsules; ones for capsules without any.
        places: Of these.
    """

    def down(shares: Float[Array, "batch out"]) -> Float[Array, "batch in"]:
        on_map = shares.reshape(routed.activations.shape)
        return flatten(layer.received(on_map, routed.couplings, activations))

    return Link(down, places)


def link_of_list(
    couplings: Float[Array, "batch in out"],
    activations: Float[Array, "batch in"] | None = None,
    places: Places | None = None,
) -> Link:
    """The link of fully connected capsules.

    Args:
        couplings: That were routed.
        activations: Of the input capsules; None for capsules without any.
        places: Of these; None where they lie on no map.
    """
    return Link(lambda shares: received(shares, couplings, activations), places)


def ones_for(poses: Float[Array, "*shape dim"]) -> Float[Array, "*shape"]:
    """In the place of activations, of capsules that have none."""
    return jnp.ones(poses.shape[:-1], poses.dtype)
