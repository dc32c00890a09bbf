"""Batches of a split that lies on the device, drawn inside jit.

Batch k of a run is a function of (seed, k) alone: its epoch's order comes from the seed and the
epoch's number, its augmentation from the seed and k. A resumed run therefore needs no iterator
state, and many steps can share one dispatch.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from data.augmentation import random_shift


class Batch(NamedTuple):
    """Images in [0, 1] and their labels, as a model's loss takes them."""

    images: Float[Array, "batch height width channels"]
    labels: Int[Array, "batch"]


class DeviceSplit(NamedTuple):
    """A whole split on the device: uint8 pixels and int32 labels."""

    images: UInt8[Array, "count height width channels"]
    labels: Int[Array, "count"]


def normalise(images: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bytes to float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255.0


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches in an epoch of `count` images; the remainder of each epoch's order is left out."""
    return count // batch_size


def epoch_order(key: Key[Array, ""], epoch: Int[Array, ""], count: int) -> Int[Array, "count"]:
    """The order in which an epoch visits the images of a split."""
    order_key = jax.random.fold_in(jax.random.fold_in(key, 0), epoch)
    return jax.random.permutation(order_key, count)


@functools.partial(jax.jit, static_argnames=("batch_size", "shift"))
def draw(
    split: DeviceSplit,
    order: Int[Array, "count"],
    key: Key[Array, ""],
    step: Int[Array, ""],
    *,
    batch_size: int,
    shift: int = 0,
) -> Batch:
    """Batch number `step` of a run.

    Args:
        split: The images to draw from.
        order: Of the epoch that the step falls into, by `epoch_order`.
        key: The run's data key.
        step: Counted from 0 over the whole run.
        batch_size: Images in a batch.
        shift: Largest random shift, in pixels; 0 for none.

    Returns:
        The batch, normalised and augmented.
    """
    start = (step % steps_per_epoch(order.size, batch_size)) * batch_size
    chosen = jax.lax.dynamic_slice(order, (start,), (batch_size,))
    augmentation_key = jax.random.fold_in(jax.random.fold_in(key, 1), step)
    images = random_shift(augmentation_key, split.images[chosen], shift)
    return Batch(normalise(images), split.labels[chosen])
