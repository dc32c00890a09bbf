"""Errors of reconstructions, and how much a component of a pose changes them."""

import numpy as np

from evaluation.results.quantities import Metric
from evaluation.statistics.intervals import NOT_NEGATIVE

ERROR = Metric(
    "reconstruction error", "squared grey levels", higher_is_better=False, bounds=NOT_NEGATIVE
)
"""Summed over pixels, where grey levels go from 0 to 1; of objects of one image, their mean."""
CHANGE = Metric("change by a pose component", "grey levels", bounds=NOT_NEGATIVE)
"""The Euclidean distance between the reconstructions at both ends of a sweep, where grey levels go
from 0 to 1; the mean over the components."""


def squared_errors(reconstructions: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Summed squared errors `[count]` of reconstructions, images of grey levels from 0 to 1."""
    return np.sum(np.square(reconstructions - images), axis=tuple(range(1, images.ndim)))


def changes(sweeps: np.ndarray) -> np.ndarray:
    """Distances between both ends of a sweep, the mean over the components of a pose.

    Args:
        sweeps: `[count, components, steps, height, width, channels]`.
    """
    ends = np.square(sweeps[:, :, -1] - sweeps[:, :, 0])
    return np.mean(np.sqrt(np.sum(ends, axis=(2, 3, 4))), axis=1)
