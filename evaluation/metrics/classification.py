"""Metrics of classification, and of detection, that several suites have."""

from evaluation.results.quantities import Metric

ACCURACY = Metric("accuracy", higher_is_better=True)
ROBUST_ACCURACY = Metric("robust accuracy", higher_is_better=True)
"""Accuracy where an adversary chooses, for each image, the change that misleads the model."""
DETECTION_RATE = Metric("detection rate", higher_is_better=True)
"""Share of images that are rejected, of those that should be."""
FALSE_ALARM_RATE = Metric("false alarm rate", higher_is_better=False)
"""Share of images that are rejected, of those that should not be."""
RECONSTRUCTION_AUROC = Metric("AUROC of reconstruction error", higher_is_better=True)
"""Chance that the error of an image that should be rejected is above that of a clean one."""
MAX_DRAWN_CLASSES = 20
"""A larger confusion matrix, or statistics of more classes, cannot be read."""
