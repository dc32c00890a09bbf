"""Random changes of training images, as pure functions that run inside jit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, Num


def shift_images(
    images: Num[Array, "batch height width channels"],
    offsets: Int[Array, "batch 2"],
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
    """
    padded = jnp.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)))

    def crop(image, offset):
        start = (limit - offset[0], limit - offset[1], 0)
        return jax.lax.dynamic_slice(image, start, images.shape[1:])

    return jax.vmap(crop)(padded, offsets)


def random_shift(
    key: Key[Array, ""], images: Num[Array, "batch height width channels"], limit: int
) -> Num[Array, "batch height width channels"]:
    """Shifts each image on its own by one of the (2 limit + 1)^2 offsets, all equally likely.

    With a limit of 2 pixels this is the training set of Sabour et al. (2017), drawn afresh.
    """
    if limit == 0:
        return images
    offsets = jax.random.randint(key, (images.shape[0], 2), -limit, limit + 1)
    return shift_images(images, offsets, limit=limit)
