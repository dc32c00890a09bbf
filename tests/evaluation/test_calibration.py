import numpy as np
import pytest

from evaluation import suites
from evaluation.metrics.calibration import calibration
from evaluation.model import Predictor
from tests.evaluation.test_suites import DATASET, SPLIT


def test_the_error_by_hand():
    # Two bins: 0.9 with half of four right, 0.3 with one of one right.
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.3])
    hits = np.array([True, True, False, False, True])
    found = calibration(confidence, hits)
    assert found.error == pytest.approx((4 * 0.4 + 0.7) / 5)
    low, high = found.interval
    assert 0.0 <= low <= found.error <= high <= 1.0


def test_calibrated_confidences_have_a_small_error():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.1, 1.0, 20_000)
    hits = random.uniform(size=20_000) < confidence
    assert calibration(confidence, hits).error < 0.015
    assert calibration(np.ones(10), np.ones(10, bool)).error == 0.0


def test_the_model_s_own_confidences_count():
    suite = suites.load("calibration")

    def logits(images):
        return np.tile([9.0, 0.0, 0.0, 0.0], (len(images), 1))

    softmax = suite.evaluate(Predictor.of(logits), DATASET, batch_size=8)
    own = suite.evaluate(
        Predictor.of(
            logits, probabilities=lambda images: np.tile([0.3, 0, 0, 0], (len(images), 1))
        ),
        DATASET,
        batch_size=8,
    )
    (diagram,) = softmax.artifacts
    assert diagram.images.tolist() == [0] * 9 + [len(SPLIT)]
    rate = np.mean(SPLIT.labels == 0)
    assert softmax.value == pytest.approx(1.0 - rate, abs=1e-3)
    assert own.value == pytest.approx(0.3 - rate)
    assert (softmax.definition["confidence"], own.definition["confidence"]) == (
        "softmax",
        "the model's own",
    )


def test_confusions_are_counted_by_pair():
    def shifted(images):
        return np.eye(4)[np.round(255 * np.asarray(images[:, 0, 0, 0])).astype(int) // 4 % 4]

    found = suites.load("confusions").evaluate(shifted, DATASET, batch_size=8)
    predictions = np.arange(23) // 4 % 4
    wrong = predictions != SPLIT.labels
    assert found.value == wrong.sum()
    assert found.metric.limits == (0.0, len(SPLIT))
    (matrix,) = found.artifacts
    expected = np.sum((SPLIT.labels == 1) & (predictions == 2))
    assert matrix.counts[1, 2] == expected > 0
    assert matrix.counts.sum() == len(SPLIT)
    assert found.interval[0] < found.value < found.interval[1]
