"""Accuracy at every shift by less than four pixels, in the order of training.

A network that was trained on the first m phases (`--config phases:m`) was trained on the shifts
before m and on none from there on.
"""

import jax.numpy as jnp
import numpy as np

from data.augmentation import phase_offsets, shift_images
from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.result import Result

REQUIRES = ("images",)
PASSES = 15
SEVERAL_LABELS = True

_STRIDE = 4
_OFFSETS = phase_offsets(_STRIDE)


def _shift(image, key, phase):
    offset = jnp.asarray(_OFFSETS)[phase.astype(jnp.int32)]
    return shift_images(image[None], offset[None], limit=_STRIDE)[0]


CURVE = Curve(
    distort=_shift,
    definition={
        "rows down and columns right of each phase": _OFFSETS.tolist(),
        "interpolation": "none",
        "padding": "zeros",
    },
    axis=Axis("phase in training's order", identity=0.0),
    strengths=tuple(float(phase) for phase in range(_STRIDE**2)),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at the 16 shifts of 0 to 3 pixels down and to the right."""
    return measure("phases", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every shift."""
    return show([CURVE], images)
