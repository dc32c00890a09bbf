"""Scales on which differences of a quantity are of like size wherever they are.

Trainings spread about alike in log odds at an accuracy of 90 % and at one of 99.5 %, where a point
is a tenth of the errors and twice all of them; so do counts and errors in their logarithms. Other
quantities are taken as they are. Shares and counts that are 0 have no logarithm, and half an image
is added to them; errors that are measured have no such step, and are 0 by rounding alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evaluation.statistics.intervals import SHARE, Limits

# Of a relative error; the rounding of float32 is a tenth of it.
_LEAST = 1e-6


class Scale(NamedTuple):
    """A scale for means over images.

    Attributes:
        name: What differences on it are.
        to: From such means, and the number of images, to the scale.
        back: From the scale to a mean.
        slope: Of `to`, at a mean over so many images.
        is_ratio: True if differences are logarithms of ratios.
    """

    name: str
    to: Callable[[Any, int], Any]
    back: Callable[[Any], Any]
    slope: Callable[[Any, int], Any]
    is_ratio: bool


def _share(mean, images):
    """Adds half an image to both sides, so that no share is 0 or 1 (Haldane, 1956)."""
    return (mean * images + 0.5) / (images + 1.0)


def _count(mean, images):
    return mean + 0.5 / images


LOG_ODDS = Scale(
    "odds ratio",
    to=lambda mean, images: np.log(_share(mean, images)) - np.log1p(-_share(mean, images)),
    back=lambda value: 1.0 / (1.0 + np.exp(-np.asarray(value, float))),
    slope=lambda mean, images: 1.0 / (_share(mean, images) * (1.0 - _share(mean, images))),
    is_ratio=True,
)
LOG_COUNTS = Scale(
    "ratio",
    to=lambda mean, images: np.log(_count(mean, images)),
    back=lambda value: np.exp(np.asarray(value, float)),
    slope=lambda mean, images: 1.0 / _count(mean, images),
    is_ratio=True,
)
LOG = Scale(
    "ratio",
    to=lambda mean, images: np.log(np.maximum(mean, _LEAST)),
    back=lambda value: np.exp(np.asarray(value, float)),
    slope=lambda mean, images: 1.0 / np.maximum(mean, _LEAST),
    is_ratio=True,
)
IDENTITY = Scale(
    "difference",
    to=lambda mean, images: np.asarray(mean, float),
    back=lambda value: np.asarray(value, float),
    slope=lambda mean, images: np.ones_like(np.asarray(mean, float)),
    is_ratio=False,
)


def scale_for(limits: Limits, is_count: bool = False) -> Scale:
    """Chooses the scale of a quantity.

    Args:
        limits: The least and the largest value that it can have.
        is_count: True of what is counted image by image.
    """
    if limits == SHARE:
        return LOG_ODDS
    if limits[0] != 0.0:
        return IDENTITY
    return LOG_COUNTS if is_count else LOG
