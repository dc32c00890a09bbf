"""Log-polar maps of images, in which a rotation about the origin is a roll and a scaling a shift.

Esteves, Allen-Blanchette, Zhou and Daniilidis, "Polar transformer networks" (2018), sections 3.1
and 3.3. Rows of a map are angles, from the x axis towards the y axis, which points down, so
clockwise as displayed; columns are radii. The angles leave a full turn out, unlike those of the
authors' code, so that a quarter turn of the image is exactly a roll by a quarter of the rows.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_images, check_axes, widened
from stn.sampling import sample
from stn.sampling.grids import axis_coordinates, check_size

# Of a heat map whose values cancel, which has no centroid.
_LEAST_MEAN = 1e-3


def centroid(heat: Num[ArrayLike, "batch height width"]) -> Float[Array, "batch 2"]:
    """Computes sum(h p) / sum(h), the mean of the pixels' places p weighted by a heat map h.

    Args:
        heat: Of either sign. Where its mean is within 1e-3 of zero, that is divided by instead, so
            that values and gradients stay finite.

    Returns:
        (x, y), normalised to [-1, 1] from edge to edge of the map; outside of it only where the
        heat map has both signs.

    Raises:
        ValueError: if the map has not these axes.
    """
    heat = widened(heat)
    check_axes("heat", heat, "batch height width")
    y, x = (jnp.asarray(axis_coordinates(size), heat.dtype) for size in heat.shape[1:])
    mean = jnp.mean(heat, axis=(1, 2))
    # The quotient of means is that of sums. Not a number passes, for it is not below any.
    safe = jnp.where(jnp.abs(mean) < _LEAST_MEAN, _LEAST_MEAN, mean)
    moments = [jnp.mean(heat * place, axis=(1, 2)) for place in (x, y[:, None])]
    return jnp.stack(moments, axis=-1) / safe[:, None]


def log_polar_grid(
    origins: Num[ArrayLike, "batch 2"],
    size: Sequence[int],
    image_size: Sequence[int],
    *,
    max_radius: float = 0.7071,
) -> Float[Array, "batch angles radii 2"]:
    """Makes the grids that read images at evenly spaced angles and logarithms of the radius.

    With R the largest radius in pixels and x evenly spaced in [0, 1], a column's radius is that of
    the authors' code, (R^x - 1) R / (R - 1): 0 in the first column, R in the last.

    Args:
        origins: (x, y), normalised to [-1, 1] from edge to edge of the image.
        size: (angles, radii) of the map.
        image_size: (height, width) of the images, in pixels.
        max_radius: R as a share of the longer side, in (0, 1]; more than one pixel.

    Returns:
        Grids for `stn.sample`, in float32 at least.

    Raises:
        ValueError: if a size is below 1 or the largest radius is out of its limits.
    """
    origins, (angles, radii), (height, width) = (
        widened(origins),
        check_size(size),
        check_size(image_size),
    )
    largest = check_radius(max_radius, (height, width))
    steps = np.linspace(0.0, 1.0, radii)
    radius = (largest**steps - 1.0) * largest / (largest - 1.0)
    angle = 2.0 * np.pi * np.arange(angles)[:, None] / angles
    # A pixel is 2 / width of the normalised axis.
    offsets = np.stack([np.cos(angle) / width, np.sin(angle) / height], axis=-1)
    offsets = 2.0 * radius[:, None] * offsets
    return origins[:, None, None] + jnp.asarray(offsets, origins.dtype)


def check_radius(max_radius: float, image_size: Sequence[int]) -> float:
    """Computes the largest radius in pixels.

    Args:
        max_radius: As a share of the longer side.
        image_size: (height, width) of the images.

    Raises:
        ValueError: if the share is not in (0, 1], or one pixel or less.
    """
    validation.check_values(max_radius=(max_radius, validation.number(0.0, 1.0, beyond=True)))
    largest = max_radius * max(image_size)
    if largest <= 1.0:
        height, width = image_size
        raise ValueError(
            f"max_radius={max_radius}: of {height}x{width} pixels is {largest:g}, and must be more "
            "than 1"
        )
    return largest


def log_polar(
    images: Num[ArrayLike, "batch height width channels"],
    grids: Num[ArrayLike, "batch angles radii 2"],
) -> Float[Array, "batch angles radii channels"]:
    """Reads log-polar maps of images, bilinearly; zeros lie outside.

    Args:
        images: Of any size.
        grids: See `log_polar_grid`. Of an origin that is not a number, neither is the map.
    """
    images, grids = as_images(images), widened(grids)
    unknown = jnp.any(jnp.isnan(grids), axis=(1, 2, 3), keepdims=True)
    return jnp.where(unknown, jnp.nan, sample(images, grids))


def pad_angles(
    maps: Num[ArrayLike, "batch angles radii channels"],
) -> Float[Array, "batch padded_angles padded_radii channels"]:
    """Pads maps by one row and column on each side: angles go on, beyond radii are zeros."""
    maps = as_images(maps)
    around = jnp.pad(maps, ((0, 0), (1, 1), (0, 0), (0, 0)), mode="wrap")
    return jnp.pad(around, ((0, 0), (0, 0), (1, 1), (0, 0)))
