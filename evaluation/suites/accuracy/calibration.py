"""Whether the model is right as often as it says: expected calibration error."""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.calibration import BINS, calibration
from evaluation.model import (
    PROBABILITIES,
    Predict,
    as_predictor,
    predict_split,
    probability_field,
    to_probabilities,
)
from evaluation.results.answers import reliability_details
from evaluation.results.result import Result


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Expected calibration error on all test images (see `evaluation.metrics.calibration`).

    The probabilities are the model's own, or the softmax of its logits.

    Returns:
        The result; its details are a reliability diagram.
    """
    field = probability_field(as_predictor(predict))
    test = dataset.test
    outputs = predict_split(predict, test, field, batch_size=batch_size, name="calibration")[field]
    hits = np.argmax(outputs, axis=-1) == test.labels
    confidence = np.max(to_probabilities(field, outputs), axis=-1)
    found = calibration(confidence, hits)
    source = "the model's own" if field == PROBABILITIES else "softmax"
    return Result(
        suite="calibration",
        metric="calibration error",
        value=found.error,
        interval=found.interval,
        interval_method="bootstrap over images 95 %",
        count=len(hits),
        data_checksum=test.checksum,
        details=reliability_details(confidence, hits),
        parameters={"bins": BINS, "confidence": source},
    )
