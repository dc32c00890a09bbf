"""Scales on which differences of a quantity are of like size wherever they are.

Trainings spread about alike in log odds at an accuracy of 90 % and at one of 99.5 %, where a point
is a tenth of the errors and twice all of them; so do counts and errors in their logarithms. Other
quantities are taken as they are.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evaluation.statistics.intervals import SHARE, Limits


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
LOG = Scale(
    "ratio",
    to=lambda mean, images: np.log(_count(mean, images)),
    back=lambda value: np.exp(np.asarray(value, float)),
    slope=lambda mean, images: 1.0 / _count(mean, images),
    is_ratio=True,
)
IDENTITY = Scale(
    "difference",
    to=lambda mean, images: np.asarray(mean, float),
    back=lambda value: np.asarray(value, float),
    slope=lambda mean, images: np.ones_like(np.asarray(mean, float)),
    is_ratio=False,
)


def scale_for(limits: Limits) -> Scale:
    """Chooses the scale of a quantity by the least and the largest value that it can have."""
    if limits == SHARE:
        return LOG_ODDS
    return LOG if limits[0] == 0.0 else IDENTITY
