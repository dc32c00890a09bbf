"""Accuracy on test images shifted by whole pixels within their own frame."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis, shares
from evaluation.results.result import Result

REQUIRES = ("images",)

_STEPS_EITHER_WAY = 4
# So many pixels of what was at the frame's centre and beyond stay in the frame.
_MARGIN = 6


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at shifts along x (positive to the right) and along y (positive down).

    The range grows with the frame: 8 pixels either way at 28, 12 at 40, 24 at 60. As part of an
    image leaves its frame, each result has the share of ink that stays, as a detail.

    Raises:
        NotApplicable: for images of less than 20 pixels.
    """
    images = dataset.test.images
    if _step(min(images.shape[1:3])) < 1:
        raise NotApplicable("the images are too small for a shift that leaves most of them")
    curves = _curves(images.shape[1:3])
    results = measure("translation", curves, predict, dataset, batch_size=batch_size)
    return [
        dataclasses.replace(
            result, details=shares(ink_in_the_frame=_ink_that_stays(images, result))
        )
        for result in results
    ]


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every shift."""
    return show(_curves(images.shape[1:3]), images)


def _curves(size):
    height, width = size
    shifts = {
        "along x": (width, lambda image, key, shift: _shift(image, shift, 0.0)),
        "along y": (height, lambda image, key, shift: _shift(image, 0.0, shift)),
    }
    steps = range(-_STEPS_EITHER_WAY, _STEPS_EITHER_WAY + 1)
    return [
        Curve(
            distort=distort,
            definition={"positive": "right, down", **SAMPLING},
            condition=condition,
            axis=Axis("shift", "pixels", identity=0.0),
            strengths=tuple(float(_step(length) * k) for k in steps),
        )
        for condition, (length, distort) in shifts.items()
    ]


def _step(length):
    return (length // 2 - _MARGIN) // _STEPS_EITHER_WAY


def _shift(image, x, y):
    return move(image, jnp.eye(2), jnp.array([x, y]))


def _ink_that_stays(images, result):
    axis = {"along x": 2, "along y": 1}[result.condition]
    profile = images.sum(axis=tuple({0, 1, 2, 3} - {axis}), dtype=np.float64)
    shift = int(result.strength)
    stays = profile[max(-shift, 0) : len(profile) - max(shift, 0)]
    # Where there is no ink, none is lost.
    return float(stays.sum() / profile.sum()) if profile.any() else 1.0
