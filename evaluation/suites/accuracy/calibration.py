"""Calibration error: the gap between confidence and accuracy, root mean square and debiased.

The confidence is the largest of a model's own probabilities, where it has them, or of the softmax
of its logits. Lengths of class capsules are probabilities one by one and do not add up to 1. So a
capsule network has two results: with the softmax, which divides the lengths by their sum, to
compare with other networks; and with the length of the winning capsule as it is.
"""

import numpy as np

from data.dataset import Dataset, Split
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

PASSES = 1
QUICK = True
CALIBRATION_ERROR = Metric("RMS calibration error", higher_is_better=False)
WINNING_LENGTH = "winning length"
_LENGTHS = "lengths"


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the calibration error on all test images (see `evaluation.metrics.calibration`).

    Returns:
        The result, with a reliability diagram; of a model with `lengths` two.
    """
    predictor, test = as_predictor(predict), dataset.test
    has_lengths = predictor.has(_LENGTHS)
    field = "logits" if has_lengths else probability_field(predictor)
    fields = (field, _LENGTHS) if has_lengths else (field,)
    found = predict_split(predictor, test, *fields, batch_size=batch_size, name="calibration")
    source = "the model's own" if field == PROBABILITIES else "softmax"
    results = [_result("", source, to_probabilities(field, found[field]), test)]
    if has_lengths:
        results.append(_result(WINNING_LENGTH, WINNING_LENGTH, found[_LENGTHS], test))
    return results


def _result(condition: str, source: str, confidences: np.ndarray, test: Split) -> Result:
    """Makes the result of confidences `[count, classes]`, the largest being the prediction."""
    hits = np.argmax(confidences, axis=-1) == test.labels
    confidence = np.max(confidences, axis=-1)
    found = calibration(confidence, hits)
    return Result(
        suite="calibration",
        metric=CALIBRATION_ERROR,
        value=found.error,
        interval=found.interval,
        interval_method="basic bootstrap over images 95 %",
        count=len(hits),
        data_checksum=test.checksum,
        condition=condition,
        definition={"bins": BINS, "confidence": source, "estimate": "debiased"},
        artifacts=(ReliabilityDiagram.of(confidence, hits),),
    )
