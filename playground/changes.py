"""Changes of an image that the sliders of the page ask for."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evaluation.perturbations.affine import move, turn

RANGES = {
    "angle": (-180.0, 180.0),
    "x": (-0.5, 0.5),
    "y": (-0.5, 0.5),
    "scale": (0.25, 2.0),
    "shear": (-1.0, 1.0),
    "pieces": (1, 8),
}
"""The least and the largest value of every change."""


@dataclasses.dataclass(frozen=True)
class Changes:
    """Changes of an image, which is cut up first, and then moved.

    Attributes:
        angle: Of the turn, counter-clockwise, in degrees.
        x: Shift to the right, in widths of the image.
        y: Shift downwards, in heights of the image.
        scale: Factor of the size.
        shear: Pixels to the right for each pixel downwards.
        pieces: Along each side; they change places, in the same way every time.
    """

    angle: float = 0.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    shear: float = 0.0
    pieces: int = 1

    @classmethod
    def of(cls, given: Any) -> "Changes":
        """Changes from numbers by name, as the page sends them.

        Raises:
            ValueError: if one is unknown, or out of its range.
        """
        if not isinstance(given, dict) or not given.keys() <= RANGES.keys():
            raise ValueError(f"changes are numbers by name: {', '.join(RANGES)}")
        for name, value in given.items():
            low, high = RANGES[name]
            number = type(value) is int or (type(value) is float and name != "pieces")
            if not number or not low <= value <= high or not math.isfinite(value):
                raise ValueError(f"{name}={value}: must be from {low} to {high}")
        return cls(**given)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Changes images alike.

        Args:
            images: `[count, height, width, channels]`, float32 in [0, 1].

        Returns:
            Images of the same shape, in the same range.
        """
        cut = np.stack([shuffled(image, self.pieces) for image in images])
        numbers = (self.angle, self.scale, self.shear, self.x, self.y)
        return np.clip(_moved(cut, np.array(numbers, np.float32)), 0.0, 1.0)


@jax.jit
def _moved(images, numbers):
    angle, scale, shear, x, y = numbers
    matrix = scale * turn(angle) @ jnp.array([[1.0, shear], [0.0, 1.0]])
    shift = jnp.array([x * images.shape[2], y * images.shape[1]])
    return jax.vmap(lambda image: move(image, matrix, shift))(images)


def shuffled(image: np.ndarray, pieces: int) -> np.ndarray:
    """An image cut into rectangles of one size that have changed places.

    Args:
        image: `[height, width, channels]`; what is left over at the right and at the bottom, where
            the pieces do not divide a side, stays where it is.
        pieces: Along each side; with one, or with more than there are pixels, nothing changes.
    """
    height, width = (side // pieces for side in image.shape[:2])
    if pieces == 1 or not height or not width:
        return image
    found = image.copy()
    for number, other in enumerate(_order(pieces)):
        (row, column), (top, left) = divmod(number, pieces), divmod(int(other), pieces)
        found[row * height :, column * width :][:height, :width] = image[
            top * height : (top + 1) * height, left * width : (left + 1) * width
        ]
    return found


@functools.cache
def _order(pieces: int) -> np.ndarray:
    """A fixed order of the pieces in which none is at its own place."""
    random, count = np.random.default_rng(pieces), pieces * pieces
    while True:
        order = random.permutation(count)
        if not np.any(order == np.arange(count)):
            return order
