"""Batches of images that lie on the device, drawn inside jit.

Batch k of a run is a function of (seed, k) alone: its epoch's order comes from the seed and the
epoch's number, its augmentation from the seed and k. A resumed run therefore needs no iterator
state, and many steps can share one dispatch.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8


class Batch(NamedTuple):
    """Input of a model's loss.

    Attributes:
        images: In [0, 1]; volumes have a depth before their height.
        labels: Their classes.
        poses: Parameters of the transform that rendered each object of an image (see
            `data.distortions`), where the dataset knows them. They are for measurements; a model
            that learns from them is given the ground truth.
    """

    images: Float[Array, "batch *shape channels"]
    labels: Int[Array, "batch"]
    poses: Float[Array, "batch objects parameters"] | None = None


class DeviceSplit(NamedTuple):
    """A whole split on the device: uint8 pixels and int32 labels."""

    images: UInt8[Array, "count height width channels"]
    labels: Int[Array, "count"]


def normalise(images: UInt8[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Bytes to float32 in [0, 1].

    Raises:
        TypeError: if they are no bytes: what is divided twice is nearly black.
    """
    if images.dtype != jnp.uint8:
        raise TypeError(f"{images.dtype} images: only bytes (uint8) are brought to [0, 1]")
    return jnp.asarray(images).astype(jnp.float32) / 255.0


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches in an epoch of `count` images; the remainder of each epoch's order is left out.

    Raises:
        ValueError: if there are fewer images than a batch has, or a batch has none.
    """
    if not 1 <= batch_size <= count:
        raise ValueError(f"batch_size={batch_size}: must be from 1 to the {count} images there are")
    return count // batch_size


def epoch_order(key: Key[Array, ""], epoch: Int[Array, ""], count: int) -> Int[Array, "count"]:
    """The order in which an epoch visits the images of a split."""
    order_key = jax.random.fold_in(jax.random.fold_in(key, 0), epoch)
    return jax.random.permutation(order_key, count)


def draw_balanced(
    key: Key[Array, ""], labels: Int[Array, "count"], wanted: int
) -> Int[Array, "wanted"]:
    """Numbers of images drawn so that every class is as likely, and within it every image.

    With replacement: in expectation, an image counts as much as by a weight in the loss that is
    inverse to the size of its class. Classes that no image has are not among them.
    """
    class_key, image_key = jax.random.split(key)
    order = jnp.argsort(labels)
    ordered = labels[order]
    # Classes as they are there, numbered from 0.
    numbers = jnp.cumsum(jnp.diff(ordered, prepend=ordered[:1]) != 0)
    classes = jax.random.randint(class_key, (wanted,), 0, numbers[-1] + 1)
    first, end = (jnp.searchsorted(numbers, classes, side) for side in ("left", "right"))
    return order[jax.random.randint(image_key, (wanted,), first, end)]


AnyBatch = TypeVar("AnyBatch", bound=tuple)
"""A `Batch`, or another named tuple with images and labels, for models that learn from more."""
Generate = Callable[[Key[Array, ""], DeviceSplit, Int[Array, "batch"]], AnyBatch]
"""(key, split, numbers of the chosen images) -> the batch of them that a model receives."""


def batch_key(key: Key[Array, ""], step: Int[Array, ""]) -> Key[Array, ""]:
    """The key of all that is random in a batch of a run but the order of its images.

    Args:
        key: The run's data key.
        step: Counted from 0 over the whole run.
    """
    return jax.random.fold_in(jax.random.fold_in(key, 1), step)


def draw(
    split: DeviceSplit,
    order: Int[Array, "count"],
    key: Key[Array, ""],
    step: Int[Array, ""],
    *,
    batch_size: int,
    generate: Generate[AnyBatch],
) -> AnyBatch:
    """Batch number `step` of a run.

    Args:
        split: The images to draw from.
        order: Of the epoch that the step falls into, by `epoch_order`.
        key: The run's data key.
        step: Counted from 0 over the whole run.
        batch_size: Images in a batch.
        generate: The dataset's way from stored images to a batch, random in its key alone.

    Returns:
        The batch.

    Raises:
        ValueError: if the order is not one of this split, or shorter than a batch.
    """
    if order.size != split.labels.size:
        raise ValueError(f"an order of {order.size} images for a split of {split.labels.size}")
    start = (step % steps_per_epoch(order.size, batch_size)) * batch_size
    chosen = jax.lax.dynamic_slice(order, (start,), (batch_size,))
    return generate(batch_key(key, step), split, chosen)
