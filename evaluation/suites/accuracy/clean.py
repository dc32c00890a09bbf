"""Accuracy on the test images as they are."""

import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict, predict_all
from evaluation.results.result import Result, rate


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Share of all test images whose largest logit is the label's, with its interval."""
    logits = predict_all(predict, dataset.test.images, batch_size=batch_size, name="test")
    hits = np.argmax(logits, axis=-1) == dataset.test.labels
    return rate("clean", "accuracy", hits, dataset.test)
