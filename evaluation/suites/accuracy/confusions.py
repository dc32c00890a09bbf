"""Which classes are taken for which."""

import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict, predict_split
from evaluation.results.answers import confusion_details
from evaluation.results.result import Result
from evaluation.statistics.intervals import wilson_interval

# A larger matrix cannot be read.
_MOST_CLASSES = 20


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """The number of test images that are taken for another class.

    Returns:
        The result; its details are the confusion matrix, if there are few enough classes to see.
    """
    test = dataset.test
    found = predict_split(predict, test, "logits", batch_size=batch_size, name="confusions")
    answers = np.argmax(found["logits"], axis=-1)
    wrong = int(np.sum(answers != test.labels))
    low, high = wilson_interval(wrong, len(test))
    few = dataset.num_classes <= _MOST_CLASSES
    return Result(
        suite="confusions",
        metric="errors",
        unit="images",
        value=float(wrong),
        interval=(low * len(test), high * len(test)),
        interval_method="Wilson 95 %",
        count=len(test),
        data_checksum=test.checksum,
        details=confusion_details(test.labels, answers, dataset.num_classes) if few else {},
        parameters={"classes": dataset.num_classes},
    )
