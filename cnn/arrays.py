"""Inputs of public functions: from anything array-like to a float array of a known shape."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


def as_float(values: Any) -> jax.Array:
    """An array of the same values: NumPy's or nested lists too, whole numbers as float32.

    Floating-point types stay as they are, but for float64, which is float32 unless JAX has 64 bits.

    Raises:
        TypeError: if the values are complex, or no numbers.
    """
    array = jnp.asarray(values)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array
    if jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == jnp.bool_:
        return array.astype(jnp.float32)
    raise TypeError(f"values of the type {array.dtype}: must be real numbers")


def widened(values: Any) -> jax.Array:
    """An array as `as_float` has it, and in float32 at least."""
    array = as_float(values)
    return array.astype(wide_type(array.dtype))


def wide_type(dtype: DTypeLike) -> Any:
    """The type in which sums are taken: float32, or float64 if that is the type."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def alike(*values: Any) -> list[jax.Array]:
    """Several arrays `widened` to one type, so that they meet also where JAX promotes strictly."""
    arrays = [widened(value) for value in values]
    wide = jnp.float64 if any(array.dtype == jnp.float64 for array in arrays) else jnp.float32
    return [array.astype(wide) for array in arrays]


def same_type(*values: Any) -> list[jax.Array]:
    """Several arrays as `as_float` has them where these have one type, else `alike`."""
    arrays = [as_float(value) for value in values]
    return arrays if len({array.dtype for array in arrays}) == 1 else alike(*arrays)


def check_axes(name: str, array: jax.Array, axes: str) -> None:
    """Checks the number of axes.

    Args:
        name: Of the argument.
        array: Its value.
        axes: The axes' names, separated by blanks.

    Raises:
        ValueError: if there are more or fewer.
    """
    if array.ndim != len(axes.split()):
        raise ValueError(f"{name} of shape {array.shape}: must be [{', '.join(axes.split())}]")


def check_same_shape(**arrays: jax.Array) -> None:
    """Checks that two arguments have one shape, so that neither is broadcast by accident.

    Raises:
        ValueError: if they do not.
    """
    (first, one), (second, other) = arrays.items()
    if one.shape != other.shape:
        raise ValueError(
            f"{first} of shape {one.shape} and {second} of shape {other.shape}: must be the same"
        )


def as_labels(labels: Any, batch: Any) -> jax.Array:
    """Labels, one an image, in the integer type of positions.

    Raises:
        TypeError: if they are not of an integer type.
        ValueError: if there is not one for each image.
    """
    array = jnp.asarray(labels)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"labels of the type {array.dtype}: must be integers")
    if array.shape != (batch,):
        raise ValueError(f"labels of shape {array.shape}: must be one an image, ({batch},)")
    return array.astype(int)


def as_label_sets(labels: Any, batch: Any) -> jax.Array:
    """Labels as `as_labels` has them, in rows: one each, or several of different classes.

    Args:
        labels: `[batch]` or `[batch, objects]`.
        batch: Number of images.

    Raises:
        TypeError: if they are not of an integer type.
        ValueError: if there is not one for each image, or not a row with one or more.
    """
    array = jnp.asarray(labels)
    if array.ndim != 2:
        return as_labels(array, batch)[:, None]
    if not array.shape[1]:
        raise ValueError(f"labels of shape {array.shape}: an image must have at least one")
    return jnp.stack([as_labels(each, batch) for each in array.T], axis=1)


def as_images(images: Any, shape: Sequence[int] | None = None) -> jax.Array:
    """Images (or volumes) as a network takes them, in a floating-point type.

    Args:
        images: `[batch, height, width, channels]`.
        shape: All axes but the first, as the network was built for; None takes any size.

    Raises:
        ValueError: if they have another shape.
    """
    array = as_float(images)
    if shape is None:
        check_axes("images", array, "batch height width channels")
    elif array.shape[1:] != tuple(shape):
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"images of shape {array.shape}: this network takes [batch, {wanted}]")
    return array


def flatten(features: jax.Array) -> jax.Array:
    """One row for each image, also where there is none or their number is symbolic."""
    return features.reshape(features.shape[0], math.prod(features.shape[1:]))
