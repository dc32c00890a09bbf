"""Accuracy on test images scaled about their centre."""

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
    distort=lambda image, key, size: move(image, size * jnp.eye(2)),
    definition={"about": "the centre", **SAMPLING},
    axis=Axis("size", "times the original", identity=1.0),
    strengths=(0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at 0.4 to 1.6 times the size."""
    return measure("scale", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images in every size."""
    return show([CURVE], images)
