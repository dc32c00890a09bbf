"""Whether the model is right as often as it says: expected calibration error."""

import jax
import numpy as np

from data.dataset import Dataset
from evaluation.metrics.calibration import BINS, calibration
from evaluation.model import Predict, predict_all
from evaluation.results.answers import reliability_details
from evaluation.results.result import Result


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Expected calibration error on all test images (see `evaluation.metrics.calibration`).

    The probabilities are the model's own `confidences`, or the softmax of its logits.

    Returns:
        The result; its details are a reliability diagram.
    """
    own = getattr(predict, "confidences", None)
    outputs = predict_all(
        own or predict, dataset.test.images, batch_size=batch_size, name="calibration"
    )
    confidences = outputs if own else jax.device_get(jax.nn.softmax(outputs, axis=-1))
    hits = np.argmax(outputs, axis=-1) == dataset.test.labels
    confidence = np.max(confidences, axis=-1)
    found = calibration(confidence, hits)
    return Result(
        suite="calibration",
        metric="calibration error",
        value=found.error,
        interval=found.interval,
        interval_method="bootstrap over images 95 %",
        count=len(hits),
        data_checksum=dataset.test.checksum,
        details=reliability_details(confidence, hits),
        parameters={"bins": BINS, "confidence": "the model's own" if own else "softmax"},
    )
