"""Accuracy on clean test images."""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.classification import ACCURACY
from evaluation.model import Predict, predict_split
from evaluation.results.result import Result, rate

PASSES = 1
QUICK = True


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the share of all test images whose largest logit is the label's."""
    found = predict_split(predict, dataset.test, "logits", batch_size=batch_size, name="test")
    hits = np.argmax(found["logits"], axis=-1) == dataset.test.labels
    return rate("clean", ACCURACY, hits, dataset.test, chance=1.0 / dataset.num_classes)
