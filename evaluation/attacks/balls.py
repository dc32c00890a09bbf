"""Balls of allowed perturbations: steps, projections and random points.

The norm "inf" is the largest change of a pixel, "2" the Euclidean length of the change of an image.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from evaluation.perturbations.curve import SEED

Images = Float[Array, "batch height width channels"]


def direction(gradient: Images, norm: str) -> Images:
    """Finds the step of length one that raises a loss most; zero for no gradient, or NaN."""
    gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
    if norm == "inf":
        return jnp.sign(gradient)
    # Scaled first: the squares of small gradients would vanish.
    largest = jnp.max(jnp.abs(gradient), axis=(1, 2, 3), keepdims=True)
    scaled = gradient / jnp.where(largest > 0.0, largest, 1.0)
    return scaled / jnp.maximum(_length(scaled), 1.0)


def project(images: Images, centres: Images, epsilon: Any, norm: str) -> Images:
    """Projects images into a ball, then clips their grey levels to [0, 1].

    Args:
        images: Anywhere.
        centres: Of the balls; grey levels in [0, 1], so that clipping does not leave a ball.
        epsilon: Radius.
        norm: "inf" or "2".
    """
    change = images - centres
    if norm == "inf":
        change = jnp.clip(change, -epsilon, epsilon)
    else:
        change = change * jnp.minimum(1.0, epsilon / jnp.maximum(_length(change), 1e-12))
    return jnp.clip(centres + change, 0.0, 1.0)


def _length(images):
    return jnp.sqrt(jnp.sum(images**2, axis=(1, 2, 3), keepdims=True))


def draw_start(
    numbers: Int[Array, "batch"], shape: tuple[int, ...], norm: str, restart: Any = 0
) -> Images:
    """Draws a point of the unit ball for each image, by its number and the restart's alone."""

    def one(number):
        seed = jax.random.key(SEED + restart)
        key, radius_key = jax.random.split(jax.random.fold_in(seed, number))
        if norm == "inf":
            return jax.random.uniform(key, shape, minval=-1.0)
        direction = jax.random.normal(key, shape)
        # Uniform in the ball of as many dimensions as there are pixels.
        radius = jax.random.uniform(radius_key) ** (1.0 / np.prod(shape))
        return radius * direction / jnp.sqrt(jnp.sum(direction**2))

    return jax.vmap(one)(numbers)
