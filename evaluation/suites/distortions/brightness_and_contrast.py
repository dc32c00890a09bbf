"""Accuracy on test images of other brightness, and of other contrast."""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result

SUITE = "brightness_and_contrast"
REQUIRES = ("images",)
PASSES = 13
SEVERAL_LABELS = True


def _stretch(image, key, factor):
    mean = jnp.mean(image, axis=(0, 1))
    return mean + factor * (image - mean)


CURVES = (
    Curve(
        distort=lambda image, key, amount: image + amount,
        definition={"clipped to": [0.0, 1.0]},
        condition="brightness",
        axis=Axis("added to every pixel", "of the full range", identity=0.0),
        strengths=(-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6),
    ),
    Curve(
        distort=_stretch,
        definition={"about": "each channel's mean in the image", "clipped to": [0.0, 1.0]},
        condition="contrast",
        axis=Axis("distance from the mean", "times the original", identity=1.0),
        strengths=(0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0),
    ),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy along two curves, of brightness and of contrast."""
    return measure(SUITE, CURVES, predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every brightness and contrast."""
    return show(CURVES, images)
