"""Which classes are taken for which."""

import collections

import numpy as np

from data.sources import Dataset
from evaluation.prediction import Predict, predict_all
from evaluation.records import Result
from evaluation.statistics import wilson_interval


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """The number of test images that are taken for another class.

    Returns:
        The result; its details are the numbers for each pair of classes, such as "4 as 9".
    """
    test = dataset.test
    logits = predict_all(predict, test.images, batch_size=batch_size, name="confusions")
    answers = np.argmax(logits, axis=-1)
    wrong = np.flatnonzero(answers != test.labels)
    pairs = collections.Counter((int(test.labels[image]), int(answers[image])) for image in wrong)
    low, high = wilson_interval(len(wrong), len(test))
    return Result(
        suite="confusions",
        metric="errors",
        unit="images",
        value=float(len(wrong)),
        interval=(low * len(test), high * len(test)),
        interval_method="Wilson 95 %",
        count=len(test),
        data_checksum=test.checksum,
        details={f"{true} as {taken}": float(n) for (true, taken), n in sorted(pairs.items())},
        parameters={"classes": dataset.num_classes},
    )
