"""Accuracy on test images sheared about their centre."""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result

REQUIRES = ("images",)
PASSES = 6
SEVERAL_LABELS = True

CURVE = Curve(
    # y points down, so the top goes right.
    distort=lambda image, key, slant: move(image, jnp.array([[1.0, -slant], [0.0, 1.0]])),
    definition={"positive": "the top goes right", "about": "the centre", **SAMPLING},
    axis=Axis("shear", "pixels per row", identity=0.0),
    strengths=(-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at shears of -0.6 to 0.6 along x."""
    return measure("shear", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every shear."""
    return show([CURVE], images)
