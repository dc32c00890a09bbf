"""Expected calibration error: the gap between confidence and accuracy."""

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
from evaluation.results.artifacts import ReliabilityDiagram
from evaluation.results.quantities import Metric
from evaluation.results.result import Result

CALIBRATION_ERROR = Metric("calibration error", higher_is_better=False)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the calibration error on all test images (see `evaluation.metrics.calibration`).

    The probabilities are the model's own, or the softmax of its logits.

    Returns:
        The result, with a reliability diagram.
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
        metric=CALIBRATION_ERROR,
        value=found.error,
        interval=found.interval,
        interval_method="bootstrap over images 95 %",
        count=len(hits),
        data_checksum=test.checksum,
        definition={"bins": BINS, "confidence": source},
        artifacts=(ReliabilityDiagram.of(confidence, hits),),
    )
