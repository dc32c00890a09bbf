"""Accuracy on elastically distorted test images, by a spline with random control points."""

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, resample
from evaluation.perturbations.curve import SEED, Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result
from stn.transforms import ThinPlateSpline

REQUIRES = ("images",)
PASSES = 5
SEVERAL_LABELS = True
_SPLINE = ThinPlateSpline(4)


def _bend(image, key, pixels):
    size = jnp.array([image.shape[1], image.shape[0]])
    noise = jax.random.normal(key, (_SPLINE.points_per_side**2, 2)) * (2.0 * pixels / size)
    return resample(image, _SPLINE, noise.reshape(-1))


CURVE = Curve(
    distort=_bend,
    definition={
        "control points": "4 x 4 of a thin-plate spline, Gaussian noise in x and y",
        "seed": SEED,
        **SAMPLING,
    },
    axis=Axis("standard deviation of the control points", "pixels", identity=0.0),
    strengths=(0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy with control points moved by noise of 0 to 3 pixels.

    An image bends the same way at every strength. Noise of 1.5 pixels is that of the elastically
    distorted digits of Jaderberg et al. (2015), appendix A.4.
    """
    return measure("elastic", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every strength."""
    return show([CURVE], images)
