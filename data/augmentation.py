"""Random changes of training images, as pure functions that run inside jit."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key, Num

_SEED = 0


def shift_images(
    images: Num[Array | np.ndarray, "batch height width channels"],
    offsets: Int[Array | np.ndarray, "batch 2"],
    *,
    limit: int,
) -> Num[Array, "batch height width channels"]:
    """Moves each image by whole pixels within its frame; zeros come in at the edges.

    Args:
        images: NHWC, of any type.
        offsets: Rows down and columns to the right, each in [-limit, limit].
        limit: The largest offset, in pixels.

    Returns:
        The shape and type of the input.

    Raises:
        ValueError: if an offset is beyond the limit; inside jit, where none is known, such an image
            moves by the limit.
    """
    images, offsets = jnp.asarray(images), jnp.asarray(offsets, jnp.int32)
    if not isinstance(offsets, Tracer) and np.any(np.abs(offsets) > limit):
        raise ValueError(f"offsets of up to {np.abs(offsets).max()} pixels: the limit is {limit}")
    padded = jnp.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)))

    def crop(image, offset):
        start = (limit - offset[0], limit - offset[1], 0)
        return jax.lax.dynamic_slice(image, start, images.shape[1:])

    return jax.vmap(crop)(padded, offsets)


def random_shift(
    key: Key[Array, ""], images: Num[Array | np.ndarray, "batch height width channels"], limit: int
) -> Num[Array, "batch height width channels"]:
    """Shifts each image on its own by one of the (2 limit + 1)^2 offsets, all equally likely.

    With a limit of 2 pixels this is the training set of Sabour et al. (2017), drawn afresh.

    Raises:
        ValueError: if the limit is negative.
    """
    images = jnp.asarray(images)
    if limit < 0:
        raise ValueError(f"limit={limit}: must be at least 0")
    if limit == 0:
        return images
    offsets = jax.random.randint(key, (images.shape[0], 2), -limit, limit + 1)
    return shift_images(images, offsets, limit=limit)


def phase_offsets(stride: int) -> Int[np.ndarray, "phases 2"]:
    """All offsets of an image against a grid of that stride, in one fixed, random order.

    A network that subsamples by s meets an image in s^2 ways, by where it lies on the grid. The
    first phase is the image as it is, so that a few phases always hold it.

    Args:
        stride: In pixels, at least 1.

    Returns:
        Rows down and columns to the right, each in [0, stride).

    Raises:
        ValueError: if the stride is less than 1.
    """
    if stride < 1:
        raise ValueError(f"stride={stride}: must be at least 1")
    offsets = np.stack(np.divmod(np.arange(stride**2), stride), axis=1)
    order = 1 + np.random.default_rng(_SEED).permutation(stride**2 - 1)
    return offsets[np.concatenate([[0], order])]


def random_phase(
    key: Key[Array, ""],
    images: Num[Array | np.ndarray, "batch height width channels"],
    count: int,
    stride: int,
) -> Num[Array, "batch height width channels"]:
    """Shifts each image on its own by one of the first `count` phases, all equally likely.

    Args:
        key: Decides the phases.
        images: NHWC, of any type.
        count: From 1, which shifts no image, to stride^2.
        stride: See `phase_offsets`.

    Raises:
        ValueError: if there are not so many phases.
    """
    images = jnp.asarray(images)
    if not 1 <= count <= stride**2:
        raise ValueError(f"count={count}: a stride of {stride} has from 1 to {stride**2} phases")
    if count == 1:
        return images
    offsets = jnp.asarray(phase_offsets(stride)[:count])
    chosen = jax.random.randint(key, (images.shape[0],), 0, count)
    return shift_images(images, offsets[chosen], limit=stride)


def random_crop(
    key: Key[Array, ""], images: Num[Array | np.ndarray, "batch height width channels"], size: int
) -> Num[Array, "batch size size channels"]:
    """Cuts a square out of each image at a place of its own, all equally likely.

    Args:
        key: Decides the places.
        images: NHWC, of any type.
        size: Height and width of the squares, in pixels; those of the images at most.
    """
    images = jnp.asarray(images)
    count, height, width, channels = images.shape
    room = jnp.array([height - size + 1, width - size + 1])
    corners = jax.random.randint(key, (count, 2), 0, room)

    def crop(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (size, size, channels))

    return jax.vmap(crop)(images, corners)


def middle_crop(
    images: Num[np.ndarray, "batch height width channels"], size: int
) -> Num[np.ndarray, "batch size size channels"]:
    """Cuts the square in the middle out of each image; an odd pixel more is cut off below."""
    top, left = ((side - size) // 2 for side in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def random_brightness_and_contrast(
    key: Key[Array, ""],
    images: Float[Array, "batch height width channels"],
    brightness: float,
    contrast: float,
) -> Float[Array, "batch height width channels"]:
    """Adds a number to each image, and stretches it about the mean of each of its channels.

    Args:
        key: Decides both.
        images: In [0, 1].
        brightness: What is added is in [-brightness, brightness].
        contrast: Differences from the mean are multiplied by a number in [1 - contrast, 1 +
            contrast].

    Returns:
        Images in [0, 1]; what leaves this range is cut off.
    """
    numbers = jax.random.uniform(key, (2, len(images), 1, 1, 1), minval=-1.0, maxval=1.0)
    mean = jnp.mean(images, axis=(1, 2), keepdims=True)
    stretched = mean + (1.0 + contrast * numbers[1]) * (images - mean)
    return jnp.clip(stretched + brightness * numbers[0], 0.0, 1.0)
