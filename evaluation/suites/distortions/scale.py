"""Accuracy on test images that are made smaller and larger about their centre."""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)

CURVE = Curve(
    distort=lambda image, key, size: move(image, size * jnp.eye(2)),
    parameters={"about": "the centre", **SAMPLING},
    axis="size, times the original",
    strengths=(0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
    identity=1.0,
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Accuracy at 0.4 to 1.6 times the size."""
    return measure("scale", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images in every size."""
    return show([CURVE], images)
