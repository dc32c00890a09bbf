"""Accuracy on test images under a random affine map each, in the ranges of affNIST."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, Image, Matrix, move, turn
from evaluation.perturbations.curve import SEED, Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)
PASSES = 1
QUICK = True
SEVERAL_LABELS = True

_ROTATION = 20.0
_SHEAR = 0.2
_SCALES = (0.8, 1.2)


def draw(key: Key[Array, ""], image: Image) -> tuple[Matrix, Float[Array, "2"]]:
    """Draws a matrix and a shift for an image; see `evaluation.perturbations.affine.move`."""
    angle_key, shear_key, scale_key, place_key = jax.random.split(key, 4)
    angle = jax.random.uniform(angle_key, minval=-_ROTATION, maxval=_ROTATION)
    slant = jax.random.uniform(shear_key, minval=-_SHEAR, maxval=_SHEAR)
    scales = jax.random.uniform(scale_key, (2,), minval=_SCALES[0], maxval=_SCALES[1])
    sheared = jnp.array([[1.0, slant], [0.0, 1.0]]) * scales
    matrix = jnp.matmul(turn(angle), sheared, precision=lax.Precision.HIGHEST)
    return matrix, _anywhere(place_key, image, matrix)


def _anywhere(key, image, matrix):
    """Draws a shift that keeps all ink in the frame, or centres it where there is no room."""
    size = jnp.array([image.shape[1], image.shape[0]])
    y, x = jnp.indices(image.shape[:2])
    points = jnp.stack([x, y], axis=-1) - (size - 1) / 2.0
    sent = jnp.einsum("hwi,ji->hwj", points, matrix, precision=lax.Precision.HIGHEST)
    ink = jnp.any(image > 0.0, axis=-1, keepdims=True)
    # Bilinear reading spreads a pixel over the square around it up to the next ones' centres.
    reach = jnp.sum(jnp.abs(matrix), axis=1)
    room = (size + 1) / 2.0 - reach
    least = -room - jnp.min(sent, axis=(0, 1), where=ink, initial=jnp.max(size))
    most = room - jnp.max(sent, axis=(0, 1), where=ink, initial=-jnp.max(size))
    chosen = least + (most - least) * jax.random.uniform(key, (2,))
    return jnp.where(most > least, chosen, (least + most) / 2.0)


CURVE = Curve(
    distort=lambda image, key, _: move(image, *draw(key, image)),
    definition={
        "rotation": [-_ROTATION, _ROTATION],
        "shear": [-_SHEAR, _SHEAR],
        "scale of each axis": list(_SCALES),
        "order": "scale, shear, rotation, shift",
        "place": "anywhere with all ink in the frame, else centred",
        "distribution": "uniform",
        "seed": SEED,
        **SAMPLING,
    },
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy in the frame that the model was trained on.

    affNIST has frames of 40x40 pixels, and so has this for a model trained on such; in a smaller
    frame there is less room to move. One fixed draw for each image.
    """
    return measure("affine", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images, each under its own map."""
    return {"affine": next(iter(show([CURVE], images).values()))}
