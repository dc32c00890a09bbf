"""Accuracy on clean test images; of images with several labels each exact match and half credit.

Where an image shows several objects, as many largest logits are its prediction. It is right if
these are exactly the labels, in any order, as Sabour et al. (2017) count. Others (Mazzia et al.,
2021, Efficient-CapsNet) count every label by itself, so that an image with one right digit of two
counts one half. That is another metric, and higher.
"""

from data.dataset import Dataset
from evaluation.metrics.classification import (
    DIGIT_ACCURACY,
    accuracy_of,
    chance_of,
    hits,
    partial_credit,
)
from evaluation.model import Predict, predict_split
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
    return results
