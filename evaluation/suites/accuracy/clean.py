"""Accuracy on clean test images; of images with several labels each exact match and half credit.

Where an image shows several objects, as many largest logits are its prediction. It is right if
these are exactly the labels, in any order, as Sabour et al. (2017) count. Others (Mazzia et al.,
2021, Efficient-CapsNet) count every label by itself, so that an image with one right digit of two
counts one half. That is another metric, and higher.

Where classes have different numbers of images to learn from, by more than chance, the balanced
accuracy is measured too: the mean over classes of the share of their images that are predicted
right.
"""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.classification import (
    BALANCED_ACCURACY,
    DIGIT_ACCURACY,
    MAX_DRAWN_CLASSES,
    accuracy_of,
    balanced,
    chance_of,
    hits,
    partial_credit,
    recalls,
)
from evaluation.model import Predict, predict_split
from evaluation.results.quantities import Detail
from evaluation.results.result import Result, mean, rate

PASSES = 1
QUICK = True
SEVERAL_LABELS = True


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the share of all test images whose largest logits are those of the labels."""
    test = dataset.test
    found = predict_split(predict, test, "logits", batch_size=batch_size, name="test")
    right = hits(found["logits"], test.labels)
    results = [rate("clean", accuracy_of(dataset), right, test, chance=chance_of(dataset))]
    if dataset.labels_per_image > 1:
        share = partial_credit(found["logits"], test.labels)
        chance = dataset.labels_per_image / dataset.num_classes
        results.append(mean("clean", DIGIT_ACCURACY, share, test, chance=chance))
    elif dataset.is_unbalanced:
        results.append(_balanced(right, dataset))
    return results


def _balanced(right: np.ndarray, dataset: Dataset) -> Result:
    """The balanced accuracy, with the recall of each class unless there are too many to read."""
    test, classes = dataset.test, dataset.num_classes
    details = {}
    if classes <= MAX_DRAWN_CLASSES:
        of_class = recalls(right, test.labels, classes)
        details = {
            f"recall of {dataset.name_of(label)}": Detail(float(recall))
            for label, recall in enumerate(of_class)
            if np.isfinite(recall)
        }
    return mean(
        "clean",
        BALANCED_ACCURACY,
        balanced(right, test.labels, classes),
        test,
        details=details,
        chance=1.0 / classes,
    )
