"""Accuracy on test images that are brighter or darker, and of less or more contrast."""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)


def _stretch(image, key, factor):
    mean = jnp.mean(image, axis=(0, 1))
    return mean + factor * (image - mean)


CURVES = (
    Curve(
        distort=lambda image, key, amount: image + amount,
        parameters={"clipped to": [0.0, 1.0]},
        condition="brightness",
        axis="added to every pixel, of the full range",
        strengths=(-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6),
        identity=0.0,
    ),
    Curve(
        distort=_stretch,
        parameters={"about": "each channel's mean in the image", "clipped to": [0.0, 1.0]},
        condition="contrast",
        axis="distance from the mean, times the original",
        strengths=(0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0),
        identity=1.0,
    ),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Accuracy along two curves, of brightness and of contrast."""
    return measure("light", CURVES, predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images at every brightness and contrast."""
    return show(CURVES, images)
