"""Penalties on the change of a network's predictions under moves of the image.

Invariance that is asked for by the loss, in place of augmentation, which asks for it by examples,
or an architecture that has it: to first order (Simard et al., 1992, "Tangent prop"), by a finite
move, or as the divergence of two predictions (Zheng et al., 2016, "Improving the robustness of deep
neural networks via stability training").

A move is a rotation, a scaling and a shift in one. Its amounts are drawn for each image, evenly
between -1 and 1 times the largest ones; to first order in these, `DifferencePenalty` has the same
mean as `TangentPenalty`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images
from stn.sampling import sample
from stn.sampling.grids import affine_grid

Amounts = Float[Array, "batch 4"]
LogProbabilities = Callable[[Any], Float[Array, "batch classes"]]
"""From images to normalised log-probabilities."""


@dataclasses.dataclass(frozen=True)
class Moves:
    """The largest moves of images, either way.

    Attributes:
        rotation: In degrees.
        scale: The largest factor of the size, at least 1, and one over the smallest.
        shift: In pixels, along either axis.
    """

    rotation: float = 45.0
    scale: float = 1.0
    shift: float = 0.0

    def check(self) -> None:
        """Raises a `ValueError` for a value that no move can have."""
        validation.check(
            self,
            rotation=validation.number(0.0, 180.0),
            scale=validation.number(1.0, 10.0),
            shift=validation.number(0.0, float(validation.MAX_SIZE)),
        )
        if (self.rotation, self.scale, self.shift) == (0.0, 1.0, 0.0):
            raise ValueError("rotation=0, scale=1 and shift=0: nothing moves")

    @property
    def largest(self) -> np.ndarray:
        """Radians, logarithm of the factor, and pixels along x and along y."""
        return np.array([np.radians(self.rotation), np.log(self.scale), self.shift, self.shift])

    def draw(self, key: Any, count: Any) -> Amounts:
        """Draws moves for so many images: rotations, logarithms of scales, and shifts.

        Args:
            key: Decides them.
            count: A whole number, or a symbol of one in a program of any batch.
        """
        evenly = jax.random.uniform(key, (count, 4), jnp.float32, -1.0, 1.0)
        return evenly * self.largest.astype(np.float32)


def move(
    images: Num[ArrayLike, "batch height width channels"], amounts: Num[ArrayLike, "batch 4"]
) -> Float[Array, "batch height width channels"]:
    """Rotates and scales images about their centres, and then shifts them; zeros come in.

    Args:
        images: Read by bilinear interpolation.
        amounts: Of each image: radians (clockwise, for y points down), logarithm of the factor, and
            pixels to the right and down.
    """
    images, amounts = as_images(images), as_float(amounts)
    angle, size, right, down = jnp.moveaxis(amounts, -1, 0)
    cosine, sine = jnp.cos(angle) * jnp.exp(-size), jnp.sin(angle) * jnp.exp(-size)
    # Where each pixel is read: turned back, in pixels from the centre.
    x, y = -(cosine * right + sine * down), -(cosine * down - sine * right)
    height, width = images.shape[1:3]
    rows = [[cosine, sine * height / width, 2.0 * x / width]]
    rows += [[-sine * width / height, cosine, 2.0 * y / height]]
    matrices = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    return sample(images, affine_grid(matrices, (height, width)))


def tangent(
    images: Num[ArrayLike, "batch height width channels"], amounts: Num[ArrayLike, "batch 4"]
) -> Float[Array, "batch height width channels"]:
    """Computes the change of images by moves, to first order in their amounts.

    Slopes are central differences, which the kinks of bilinear interpolation do not have.

    Args:
        images: Zero beyond their edges.
        amounts: See `move`.
    """
    images = as_images(images)
    angle, size, right, down = jnp.moveaxis(as_float(amounts)[:, None, None, :], -1, 0)
    height, width = images.shape[1:3]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    along_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2.0
    along_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2.0
    speed_x, speed_y = size * x - angle * y + right, size * y + angle * x + down
    return -(speed_x[..., None] * along_x + speed_y[..., None] * along_y)


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A penalty on the change of predictions, with its weight in the loss; a base of those below.

    Attributes:
        moves: That must not change predictions.
        weight: Of the penalty in the loss.
    """

    moves: Moves = Moves()
    weight: float = 1.0

    def check(self) -> None:
        """Raises a `ValueError` for a value that no penalty can have."""
        validation.check_part("moves", self.moves, Moves)
        validation.check(self, weight=validation.number(0.0, validation.MAX_WEIGHT))

    def __call__(
        self,
        log_probabilities: LogProbabilities,
        images: Float[Array, "batch height width channels"],
        amounts: Amounts,
    ) -> Float[Array, "batch"]:
        """Computes the penalty of each image, without its weight, for drawn moves."""
        raise NotImplementedError


class TangentPenalty(Penalty):
    """Squared change of the log-probabilities to first order, as a derivative along the move."""

    def __call__(
        self,
        log_probabilities: LogProbabilities,
        images: Float[Array, "batch height width channels"],
        amounts: Amounts,
    ) -> Float[Array, "batch"]:
        """Sums the squared derivatives over classes."""
        along = tangent(images, amounts).astype(images.dtype)
        # The gradient is linear in its cotangent, and the derivative along the move the gradient of
        # that: layers whose gradients are written out, such as routings, have no forward mode.
        found, gradient = jax.vjp(log_probabilities, images)
        _, derivative = jax.vjp(lambda cotangent: gradient(cotangent)[0], jnp.zeros_like(found))
        (change,) = derivative(along)
        return jnp.sum(jnp.square(change), axis=-1)


class DifferencePenalty(Penalty):
    """Squared difference of the log-probabilities of the image and of the moved one."""

    def __call__(
        self,
        log_probabilities: LogProbabilities,
        images: Float[Array, "batch height width channels"],
        amounts: Amounts,
    ) -> Float[Array, "batch"]:
        """Sums the squared differences over classes."""
        change = log_probabilities(move(images, amounts)) - log_probabilities(images)
        return jnp.sum(jnp.square(change), axis=-1)


class ConsistencyPenalty(Penalty):
    """Kullback-Leibler divergence of the moved image's prediction from the image's own."""

    def __call__(
        self,
        log_probabilities: LogProbabilities,
        images: Float[Array, "batch height width channels"],
        amounts: Amounts,
    ) -> Float[Array, "batch"]:
        """Sums p(x) (log p(x) - log p(moved x)) over classes, in nats."""
        clean, moved = log_probabilities(images), log_probabilities(move(images, amounts))
        return jnp.sum(jnp.exp(clean) * (clean - moved), axis=-1)
