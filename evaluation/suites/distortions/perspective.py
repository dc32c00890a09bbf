"""Accuracy on test images in random perspective: each corner of the frame moves."""

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from data.distortions import CORNERS, corners_to
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, resample
from evaluation.perturbations.curve import SEED, Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result
from stn.transforms import Projective

REQUIRES = ("images",)
PASSES = 5
QUICK = True
SEVERAL_LABELS = True


def _tilt(image, key, pixels):
    size = jnp.array([image.shape[1], image.shape[0]])
    noise = jax.random.normal(key, CORNERS.shape) * (2.0 * pixels / size)
    return resample(image, Projective(), corners_to((CORNERS + noise)[None])[0])


CURVE = Curve(
    distort=_tilt,
    definition={"corners": "Gaussian noise in x and y", "seed": SEED, **SAMPLING},
    axis=Axis("standard deviation of the corners", "pixels", identity=0.0),
    strengths=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy with corners moved by noise of 0 to 5 pixels.

    An image's corners move the same way at every strength. Noise of 5 pixels is that of the
    projected digits of Jaderberg et al. (2015), appendix A.4.
    """
    return measure("perspective", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every strength."""
    return show([CURVE], images)
