"""Accuracy at every shift by less than four pixels, in the order in which training takes them.

A network that was trained on the first m phases (`--config phases:m`) has seen the shifts before m
and none from there on.
"""

import jax.numpy as jnp
import numpy as np

from data.augmentation import phase_offsets, shift_images
from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)

_STRIDE = 4
_OFFSETS = phase_offsets(_STRIDE)


def _shift(image, key, phase):
    offset = jnp.asarray(_OFFSETS)[phase.astype(jnp.int32)]
    return shift_images(image[None], offset[None], limit=_STRIDE)[0]


CURVE = Curve(
    distort=_shift,
    parameters={
        "rows down and columns right of each phase": _OFFSETS.tolist(),
        "interpolation": "none",
        "padding": "zeros",
    },
    axis="phase in training's order",
    strengths=tuple(float(phase) for phase in range(_STRIDE**2)),
    identity=0.0,
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Accuracy at the 16 shifts of 0 to 3 pixels down and to the right."""
    return measure("phases", [CURVE], predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images at every shift."""
    return show([CURVE], images)
