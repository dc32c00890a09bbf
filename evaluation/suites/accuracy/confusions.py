"""Confusion matrix, and the number of misclassified test images."""

import dataclasses
from typing import Any

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.classification import MAX_DRAWN_CLASSES
from evaluation.model import Predict, predict_split
from evaluation.results.artifacts import ConfusionMatrix
from evaluation.results.quantities import Metric
from evaluation.results.result import Result
from evaluation.statistics.intervals import NOT_NEGATIVE, wilson_interval

PASSES = 1
QUICK = True
ERRORS = Metric("errors", "images", higher_is_better=False, bounds=NOT_NEGATIVE)
"""Misclassified images; of a result it is bounded by their number."""


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Counts misclassified test images.

    Returns:
        The result, with the confusion matrix of no more than `MAX_DRAWN_CLASSES` classes.
    """
    test = dataset.test
    found = predict_split(predict, test, "logits", batch_size=batch_size, name="confusions")
    predictions = np.argmax(found["logits"], axis=-1)
    wrong = int(np.sum(predictions != test.labels))
    low, high = wilson_interval(wrong, len(test))
    matrix = ()
    if dataset.num_classes <= MAX_DRAWN_CLASSES:
        matrix = (ConfusionMatrix.of(test.labels, predictions, dataset.num_classes),)
    return Result(
        suite="confusions",
        metric=dataclasses.replace(ERRORS, bounds=(0.0, float(len(test)))),
        value=float(wrong),
        interval=(low * len(test), high * len(test)),
        interval_method="Wilson 95 %",
        count=len(test),
        data_checksum=test.checksum,
        definition=_classes(dataset),
        chance=len(test) * (1.0 - 1.0 / dataset.num_classes),
        artifacts=matrix,
    )


def _classes(dataset: Dataset) -> dict[str, Any]:
    """The number of classes, and their names if these are more than numbers."""
    names = {"class names": list(dataset.class_names)} if dataset.class_names else {}
    return {"classes": dataset.num_classes, **names}
