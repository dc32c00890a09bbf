"""Winning paths: which capsules of each layer the winning class capsule comes from.

What an output capsule j receives of an input capsule i is c_ij a_i: its coupling times its
activation, if it has one. As a share of all that j receives this is
s_ij = c_ij a_i / sum_k c_kj a_k, and the share of i in the winning class capsule is the sum over
the capsules j of the layer above of s_ij times their own shares, down from 1 of the winner.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from cnn.output import CapsuleShares
from cnn.places import Places


class Link(NamedTuple):
    """A routed layer, as paths go down through it.

    Attributes:
        received: From shares of its output capsules, in a list of all places, to those of its
            input capsules, as `received` does.
        places: Of the input capsules; None where they lie on no map.
    """

    received: Callable[[Float[Array, "batch out"]], Float[Array, "batch in"]]
    places: Places | None


def received(
    shares: Float[Array, "batch out"],
    couplings: Float[Array, "batch in out"],
    activations: Float[Array, "batch in"] | None = None,
) -> Float[Array, "batch in"]:
    """Shares of input capsules, of those of output capsules; zero where an output got nothing.

    Args:
        shares: Of the output capsules.
        couplings: Of the input capsules with them.
        activations: Of the input capsules; None for capsules without any.
    """
    weights = couplings if activations is None else couplings * activations[..., None]
    totals = jnp.sum(weights, axis=1)
    scaled = shares / jnp.maximum(totals, jnp.finfo(totals.dtype).tiny)
    return jnp.einsum("bij,bj->bi", weights, scaled)


def winning_paths(
    winners: Int[Array, " batch"], num_classes: int, links: Sequence[Link]
) -> tuple[CapsuleShares, ...]:
    """Shares in the winning class capsule, layer by layer, and the strongest capsule of each.

    The strongest capsule of a layer is that which the strongest of the layer above received most
    of; at the top stands the winner.

    Args:
        winners: The winning class of each image.
        num_classes: Number of classes.
        links: All routed layers, from the lowest up.

    Returns:
        The layers whose capsules lie on a map, from the lowest up.
    """
    shares = strongest = jax.nn.one_hot(winners, num_classes)
    found = []
    for link in reversed(links):
        shares, of_strongest = link.received(shares), link.received(strongest)
        chosen = jnp.argmax(of_strongest, axis=1)
        strongest = jax.nn.one_hot(chosen, shares.shape[1], dtype=shares.dtype)
        if link.places is not None:
            found.append(_on_map(shares, chosen, link.places))
    return tuple(reversed(found))


def _on_map(shares, chosen, places):
    """Shares in a list of all places, where they are."""
    batch, (height, width) = shares.shape[0], places.size
    types = shares.shape[1] // (height * width)
    place, kind = chosen // types, chosen % types
    return CapsuleShares(
        shares.reshape(batch, height, width, types),
        jnp.stack([place // width, place % width, kind], axis=1),
        centres(places, batch),
    )


def centres(places: Places, batch: int) -> Float[Array, "batch height width 2"]:
    """The centres of places, once for each image of a batch; see `cnn.places.Places.centres`."""
    of_one = jnp.asarray(places.centres())
    return jnp.broadcast_to(of_one, (batch, *of_one.shape))
