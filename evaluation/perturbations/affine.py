"""Affine maps of single images about their centre, in pixels, read by the transformers' sampler.

x points right and y down, as rows and columns do. What lies outside an image is blank.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from stn.sampling import sample
from stn.transforms import Affine

Image = Float[Array, "height width channels"]
Matrix = Float[Array, "2 2"]

SAMPLING = {"interpolation": "bilinear, no filter before it", "padding": "zeros"}
"""Resampling of images, for the definition of a result."""


def turn(degrees: Float[Array, ""]) -> Matrix:
    """Makes the rotation by an angle, counter-clockwise as seen."""
    angle = jnp.deg2rad(degrees)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, sin], [-sin, cos]])


def move(image: Image, matrix: Matrix, shift: Float[Array, "2"] | float = 0.0) -> Image:
    """Sends what is at p, counted from the image's centre, to matrix @ p + shift.

    Args:
        image: Of any size and number of channels.
        matrix: For points (x, y) in pixels; invertible.
        shift: (x, y) in pixels, or one number for both.

    Returns:
        The image, in the same frame.
    """
    (a, b), (c, d) = matrix
    # The sampler takes the way back, from an output pixel to the place that it is read from.
    back = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    start = -jnp.sum(back * shift, axis=1)
    half = jnp.array([image.shape[1], image.shape[0]]) / 2.0
    linear = back * half / half[:, None]
    theta = jnp.concatenate([linear, (start / half)[:, None]], axis=1)
    return resample(image, Affine(), theta.reshape(6))


def resample(image: Image, transform, theta: Float[Array, "parameters"]) -> Image:
    """Reads an image through a transform of `stn.transforms`, in a frame of its own size."""
    return sample(image[None], transform.grid(theta[None], image.shape[:2]))[0]
