"""Maps over a group, `[batch, height, width, elements, channels]`: checks and pooling."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, check_axes
from cnn.pooling import pool
from equivariant.groups import Group

KINDS = ("max", "average")


def as_maps(
    maps: Num[ArrayLike, "..."], group: Group | None = None
) -> Float[Array, "batch height width elements channels"]:
    """Maps over a group, in a floating-point type.

    Args:
        maps: With these five axes.
        group: Whose elements they have; None for any.

    Raises:
        ValueError: if they have another number of axes or elements.
    """
    array = as_float(maps)
    check_axes("maps", array, "batch height width elements channels")
    if group is not None and array.shape[3] != group.size:
        raise ValueError(
            f"maps of shape {array.shape}: must have the {group.size} elements of {group}"
        )
    return array


def pool_elements(
    maps: Num[ArrayLike, "batch height width elements channels"], kind: str = "max"
) -> Float[Array, "batch height width channels"]:
    """Pools over the elements of the group: what is left turns with the image, and no more.

    Args:
        maps: Over a group.
        kind: "max" or "average".

    Raises:
        ValueError: if the kind is unknown or the maps have not these axes.
    """
    validation.check_values(kind=(kind, validation.one_of(*KINDS)))
    return (jnp.max if kind == "max" else jnp.mean)(as_maps(maps), axis=3)


def pool_places(
    maps: Num[ArrayLike, "batch height width elements channels"], kind: str = "max2"
) -> Float[Array, "batch out_height out_width elements channels"]:
    """Pools 2x2 windows of each element; see `cnn.pool`.

    Turning the image by a quarter turns the outcome only where height and width are even, for of an
    odd side the last row or column is dropped.

    Args:
        maps: Over a group.
        kind: Of `cnn.pool`.

    Raises:
        ValueError: if the kind is unknown or the maps have not these axes.
    """
    pooled = pool(flatten_elements(maps), kind)
    return pooled.reshape(*pooled.shape[:3], *jnp.shape(maps)[3:])


def flatten_elements(
    maps: Num[ArrayLike, "batch height width elements channels"],
) -> Float[Array, "batch height width values"]:
    """Writes the elements of each place one after another: an ordinary feature map."""
    maps = as_maps(maps)
    return maps.reshape(*maps.shape[:3], maps.shape[3] * maps.shape[4])
