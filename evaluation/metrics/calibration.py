"""Calibration: agreement of a model's confidence with the share of its correct predictions."""

from typing import NamedTuple

import numpy as np

BINS = 15
_RESAMPLES = 1000


class Calibration(NamedTuple):
    """The gap between confidence and accuracy.

    Attributes:
        error: Debiased root mean square calibration error, in [0, 1].
        interval: Of the error, a 95 % bootstrap over images.
    """

    error: float
    interval: tuple[float, float]


def calibration(confidence: np.ndarray, hits: np.ndarray) -> Calibration:
    """Computes the root mean square calibration error over 15 bins of equal width, debiased.

    The mean gap of a bin, however well a model is calibrated, is never 0 of finitely many images,
    so that plain errors grow as test sets shrink. The estimate of Kumar, Liang and Ma (2019),
    section 5, takes the variance of each bin's accuracy off its squared gap,

        sum_b n_b / n ((confidence_b - accuracy_b)^2 - accuracy_b (1 - accuracy_b) / (n_b - 1)),

    and is unbiased; bins with a single image count as 0, and a negative sum has the root 0. (Their
    bins have equal numbers of images.) A resample has the noise of the sample besides its own, and
    scatters about the plain error of the sample: so the interval is made of its distances from
    that (basic bootstrap).

    Args:
        confidence: `[count]`, the model's probability of its prediction, in [0, 1].
        hits: `[count]` booleans, True for correct predictions.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    plain, debiased = squared_errors(bins, confidence, hits)
    random = np.random.default_rng(0)
    distances = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        chosen = random.integers(0, len(hits), len(hits))
        distances[number] = squared_errors(bins[chosen], confidence[chosen], hits[chosen])[1]
    ends = debiased - (np.quantile(distances, (0.975, 0.025)) - plain)
    low, high = np.sqrt(np.maximum(ends, 0.0))
    return Calibration(float(np.sqrt(max(debiased, 0.0))), (float(low), float(high)))


def squared_errors(
    bins: np.ndarray, confidence: np.ndarray, hits: np.ndarray
) -> tuple[float, float]:
    """Computes the squared error over bins with two images or more, plain and debiased.

    Args:
        bins: `[count]`, each image's bin.
        confidence: `[count]`, in [0, 1].
        hits: `[count]` booleans.
    """
    images = np.bincount(bins, minlength=BINS)
    there = images > 1
    images = images[there]
    confidences, accuracies = (
        np.bincount(bins, each, minlength=BINS)[there] / images for each in (confidence, hits)
    )
    squares = (confidences - accuracies) ** 2
    variances = accuracies * (1.0 - accuracies) / (images - 1)
    share = images / len(bins)
    return float(share @ squares), float(share @ (squares - variances))
