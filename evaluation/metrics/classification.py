"""Metrics of classification, and of detection, that several suites have."""

import math

import numpy as np

from data.dataset import Dataset
from evaluation.results.quantities import Metric

ACCURACY = Metric("accuracy", higher_is_better=True)
EXACT_MATCH = Metric("exact match", higher_is_better=True)
"""Share of images with several labels each of which all are predicted, and so no other class."""
DIGIT_ACCURACY = Metric("digit accuracy (half credit)", higher_is_better=True)
"""Share of labels that are predicted, so that one right label of two counts one half."""
ACCURACIES = (ACCURACY.name, EXACT_MATCH.name)
"""Names of the metrics in which an image's prediction is right or wrong as a whole."""
BALANCED_ACCURACY = Metric("balanced accuracy", higher_is_better=True)
"""Mean over classes of the share of their images that are predicted right (the mean recall)."""
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


def accuracy_of(dataset: Dataset) -> Metric:
    """The accuracy of images with one label each, or the exact match of those with several."""
    return ACCURACY if dataset.labels_per_image == 1 else EXACT_MATCH


def chance_of(dataset: Dataset) -> float:
    """The share of right predictions among random ones: of sets of labels all equally likely."""
    return 1.0 / math.comb(dataset.num_classes, dataset.labels_per_image)


def predictions(logits: np.ndarray, count: int = 1) -> np.ndarray:
    """The classes that are predicted for each image: those of its largest logits.

    Args:
        logits: `[images, classes]`.
        count: Labels of an image.

    Returns:
        `[images, count]`, of each image from the smallest to the largest; of equal logits the
        first are taken.
    """
    order = np.argsort(-np.asarray(logits, float), axis=-1, kind="stable")
    return np.sort(order[:, :count], axis=-1)


def hits(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Finds the images that are predicted right as a whole.

    Args:
        logits: `[images, classes]`, or `[images, heads, classes]`.
        labels: `[images]`; `[images, objects]`, different classes that all have to be among as
            many largest logits, in any order; or `[images, heads]`, each that of its own head.

    Returns:
        `[images]` booleans.
    """
    if labels.shape == logits.shape[:-1]:
        right = np.argmax(logits, axis=-1) == labels
        return right.reshape(len(right), -1).all(axis=1)
    return np.all(predictions(logits, labels.shape[1]) == np.sort(labels, axis=1), axis=1)


def recalls(right: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The share of each class's images that are predicted right.

    Args:
        right: `[images]` booleans.
        labels: `[images]`.
        num_classes: How many classes there are.

    Returns:
        `[num_classes]`; NaN of a class without images.
    """
    counts = np.bincount(labels, minlength=num_classes)
    hit = np.bincount(labels, right, minlength=num_classes)
    return hit / np.where(counts, counts, np.nan)


def balanced(right: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Numbers of images whose mean is the balanced accuracy, and which vary as it does.

    With recall r_c and n_c images of class c, K classes that have any, and n images, image i has
    b + n / (K n_c) (h_i - r_c), where b is the mean of all r_c and h_i is 1 or 0: the balanced
    accuracy, linearised in the numbers of images, so that a bootstrap of the mean has the variance
    of the ratios.

    Args:
        right: `[images]` booleans.
        labels: `[images]`.
        num_classes: How many classes there are.
    """
    of_class = recalls(right, labels, num_classes)
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    deviations = weights[labels] * (right - of_class[labels])
    return np.nanmean(of_class) + deviations


def partial_credit(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of each image's labels that are among as many largest logits.

    Args:
        logits: `[images, classes]`.
        labels: `[images, objects]`, different classes.

    Returns:
        `[images]`, 0, one half or 1 of two labels.
    """
    predicted = predictions(logits, labels.shape[1])
    return np.mean(np.any(labels[:, :, None] == predicted[:, None], axis=2), axis=1)
