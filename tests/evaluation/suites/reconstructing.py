"""A linear classifier of digits that reconstructs the mean of the class that it predicts."""

import functools

import jax.numpy as jnp
import numpy as np

from evaluation.model import Differentiable, Predictor
from tests.evaluation.suites.digits import linear_weights, mnist


@functools.cache
def means():
    """`[10, 28, 28, 1]`: of training images."""
    images, labels = mnist("train")
    images, labels = images[:2000] / np.float32(255.0), labels[:2000]
    return np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])


def scores(variables, images):
    weights, _ = variables
    return images.reshape(len(images), -1) @ weights[:-1] + weights[-1]


def reconstruct_mean(variables, images):
    return variables[1][jnp.argmax(scores(variables, images), axis=-1)]


def reconstructing(reconstruct=reconstruct_mean):
    """The model, with another decoder if need be."""
    variables = (jnp.asarray(linear_weights(), jnp.float32), jnp.asarray(means()))
    return Predictor.of(
        lambda images: np.asarray(scores(variables, images)),
        reconstruction=lambda images: np.asarray(reconstruct(variables, images)),
        differentiable=Differentiable(scores, variables, reconstruct),
    )
