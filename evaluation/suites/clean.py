"""Accuracy on the test images as they are."""

import numpy as np

from data.sources import Dataset
from evaluation.prediction import Predict, predict_all
from evaluation.records import Result
from evaluation.statistics import wilson_interval


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Share of all test images whose largest logit is the label's, with its interval."""
    logits = predict_all(predict, dataset.test.images, batch_size=batch_size, name="test")
    correct = int(np.sum(np.argmax(logits, axis=-1) == dataset.test.labels))
    return Result(
        suite="clean",
        metric="accuracy",
        value=correct / len(dataset.test),
        interval=wilson_interval(correct, len(dataset.test)),
        interval_method="Wilson 95 %",
        count=len(dataset.test),
        data_checksum=dataset.test.checksum,
    )
