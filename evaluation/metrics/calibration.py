"""Calibration: agreement of a model's confidence with the share of its correct predictions."""

from typing import NamedTuple

import numpy as np

BINS = 15
_RESAMPLES = 1000


class Calibration(NamedTuple):
    """The gap between confidence and accuracy.

    Attributes:
        error: Expected calibration error, in [0, 1].
        interval: Of the error, a 95 % percentile bootstrap over images.
    """

    error: float
    interval: tuple[float, float]


def calibration(confidence: np.ndarray, hits: np.ndarray) -> Calibration:
    """Computes the expected calibration error of Guo et al. (2017), equation 3, over 15 equal bins.

    Args:
        confidence: `[count]`, the model's probability of its prediction, in [0, 1].
        hits: `[count]` booleans, True for correct predictions.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, hits - confidence, minlength=BINS)
    error = float(np.abs(gaps).sum() / len(hits))
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = random.integers(0, len(hits), len(hits))
        gaps = np.bincount(bins[chosen], (hits - confidence)[chosen], minlength=BINS)
        resampled.append(np.abs(gaps).sum() / len(hits))
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Calibration(error, (float(low), float(high)))
