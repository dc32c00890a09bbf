"""Filters turned and mirrored by every element of a group, as a linear map of their weights.

Quarter turns and reflections take the pixels of a square filter to each other, so that its weights
are its pixels, and nothing is rounded. Other turns need values between pixels. A filter is then a
cubic B-spline, sum_p w_p B(y - p), with a weight w_p at each pixel p of a disc, read at the pixels
y of the square (Bekkers, "B-spline CNNs on Lie groups", 2020). A spline is smooth in every
orientation alike, while interpolated pixels would be sharp at 0 degrees and blurred at 45.

A cubic B-spline reaches two pixels, so the disc has a radius of kernel_size / 2 - 1 pixels: 9
weights in 5x5 pixels, 21 in 7x7. Errors are of two kinds: a spline holds some detail that pixels
cannot, and its outermost half pixel is cut off. The tests bound both for turns by 45 and 22.5
degrees.
"""

import functools

import numpy as np
from jaxtyping import Float

from equivariant.groups import Group

# From its middle to where a cubic B-spline ends, in pixels.
_REACH = 2.0
# Fewer pixels hold a spline of one weight only, the same in all orientations.
SMALLEST_SPLINE = 4
_ROUNDING = 1e-9


@functools.cache
def oriented_basis(
    group: Group, kernel_size: int
) -> Float[np.ndarray, "elements height width weights"]:
    """The filters that each weight stands for, turned by each element.

    Args:
        group: Whose elements act on the filters.
        kernel_size: Height and width of the filters, in pixels.

    Returns:
        Ones and zeros where the group `is_exact`, or the filters have one pixel, with a weight for
        every pixel, row by row; else values of splines.

    Raises:
        ValueError: if the filters are too small for splines.
    """
    # A filter of one pixel, about which all turns are, is the same in every orientation.
    exact = group.is_exact or kernel_size == 1
    if not exact and kernel_size < SMALLEST_SPLINE:
        raise ValueError(
            f"kernel_size={kernel_size}: must be 1 or at least {SMALLEST_SPLINE} for turns by less "
            "than 90 degrees"
        )
    pixels = _pixels(kernel_size)
    disc = np.hypot(*pixels.T) <= kernel_size / 2.0 - 1.0 + _ROUNDING
    weights = pixels if exact else pixels[disc]
    value = _same if exact else _cubic_spline
    # A filter turned by g has at y what the filter itself has at g^-1 y.
    offsets = [pixels[:, None] @ group.matrix(g) - weights for g in range(group.size)]
    basis = np.prod(value(np.array(offsets)), axis=-1)
    return basis.reshape(group.size, kernel_size, kernel_size, len(weights))


def _pixels(kernel_size: int) -> Float[np.ndarray, "pixels 2"]:
    """(x, y) of all pixels from the filter's middle, row by row."""
    places = np.arange(kernel_size) - (kernel_size - 1) / 2.0
    columns, rows = np.meshgrid(places, places)
    return np.stack([columns.ravel(), rows.ravel()], axis=-1)


def _same(offsets: np.ndarray) -> np.ndarray:
    return (np.abs(offsets) < 0.5).astype(np.float64)


def _cubic_spline(offsets: np.ndarray) -> np.ndarray:
    """B(x), which is 2/3 at 0, 1/6 at 1 and 0 from 2 on."""
    far = np.abs(offsets)
    inner = 2.0 / 3.0 - far**2 + far**3 / 2.0
    return np.where(far < 1.0, inner, np.maximum(_REACH - far, 0.0) ** 3 / 6.0)
