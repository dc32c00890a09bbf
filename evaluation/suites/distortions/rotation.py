"""Accuracy on test images rotated about their centre, over a full circle.

Half a turn is the same either way and is measured once.
"""

import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result

REQUIRES = ("images",)

CURVE = Curve(
    distort=lambda image, key, angle: move(image, turn(angle)),
    definition={"positive": "counter-clockwise as seen", "about": "the centre", **SAMPLING},
    axis=Axis("angle", "degrees", identity=0.0),
    strengths=tuple(float(angle) for angle in range(-165, 181, 15)),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at -165 to 180 degrees in steps of 15."""
    return measure("rotation", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every angle."""
    return show([CURVE], images)
