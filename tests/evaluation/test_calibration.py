import numpy as np
import pytest

from evaluation import suites
from evaluation.metrics import calibration as metrics
from evaluation.metrics.calibration import calibration, squared_errors
from evaluation.model import Predictor
from tests.evaluation.test_suites import DATASET, SPLIT


def test_the_error_by_hand():
    # Two bins: 0.9 with half of four right; and 0.3 with one image, which counts as 0.
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.3])
    hits = np.array([True, True, False, False, True])
    found = calibration(confidence, hits)
    assert found.error == pytest.approx((0.8 * (0.4**2 - 0.5 * 0.5 / 3)) ** 0.5)
    low, high = found.interval
    assert 0.0 <= low <= found.error <= high <= 1.0


def test_an_error_within_its_noise_is_none():
    # A gap of 0.1 of four images, with a standard error of 0.29.
    found = calibration(np.full(4, 0.6), np.array([True, True, False, False]))
    assert found.error == found.interval[0] == 0.0


@pytest.mark.parametrize("count", [60, 300, 3000])
def test_the_squared_error_is_right_on_average(count):
    """Of models whose accuracy is their confidence, and of those that are overconfident by 0.1."""
    random = np.random.default_rng(1)
    for gap in (0.0, 0.1):
        squares, plain = [], []
        for _ in range(400):
            # Each bin has a twelfth of the images, and one confidence.
            confidence = (np.arange(count) % 12 + 3.5) / 15.0
            hits = random.uniform(size=count) < confidence - gap
            bins = np.minimum((confidence * 15).astype(int), 14)
            each = squared_errors(bins, confidence, hits)
            plain.append(each[0])
            squares.append(each[1])
        noise = 3.0 * np.std(squares) / len(squares) ** 0.5
        assert np.mean(squares) == pytest.approx(gap**2, abs=noise)
        assert np.mean(plain) > gap**2 + 2.0 / count


def test_intervals_contain_the_error_of_95_percent(monkeypatch):
    monkeypatch.setattr(metrics, "_RESAMPLES", 200)
    random = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        confidence = (random.integers(3, 15, 400) + 0.5) / 15.0
        hits = random.uniform(size=400) < confidence - 0.15
        low, high = calibration(confidence, hits).interval
        found += low <= 0.15 <= high
    assert found >= 88  # with probability 0.996, were it 95 percent


def test_calibrated_confidences_have_a_small_error():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.1, 1.0, 20_000)
    hits = random.uniform(size=20_000) < confidence
    assert calibration(confidence, hits).error < 0.01
    assert calibration(np.ones(10), np.ones(10, bool)).error == 0.0


def test_capsules_have_a_result_of_their_lengths():
    """Lengths that add up to 2 are not the softmax of their logarithms."""
    lengths = np.tile([0.9, 0.5, 0.4, 0.2], (len(SPLIT), 1))
    capsules = Predictor.of(
        lambda images: np.log(lengths[: len(images)]),
        lengths=lambda images: lengths[: len(images)],
        probabilities=lambda images: lengths[: len(images)],
    )
    results = suites.run(suites.load("calibration"), capsules, DATASET, batch_size=8)
    rate = np.mean(SPLIT.labels == 0)
    variance = rate * (1.0 - rate) / (len(SPLIT) - 1)
    for result, source, confidence in zip(
        results, ("softmax", "winning length"), (0.45, 0.9), strict=True
    ):
        assert result.definition["confidence"] == source
        assert result.value == pytest.approx(((confidence - rate) ** 2 - variance) ** 0.5)
    assert [result.condition for result in results] == ["", "winning length"]


def test_the_model_s_own_confidences_count():
    suite = suites.load("calibration")

    def logits(images):
        return np.tile([9.0, 0.0, 0.0, 0.0], (len(images), 1))

    def given(images):
        return np.tile([0.3, 0, 0, 0], (len(images), 1))

    (softmax,) = suite.evaluate(Predictor.of(logits), DATASET, batch_size=8)
    (own,) = suite.evaluate(Predictor.of(logits, probabilities=given), DATASET, batch_size=8)
    (diagram,) = softmax.artifacts
    assert diagram.images.tolist() == [0] * 9 + [len(SPLIT)]
    rate = np.mean(SPLIT.labels == 0)
    variance = rate * (1.0 - rate) / (len(SPLIT) - 1)
    assert softmax.value == pytest.approx(((1.0 - rate) ** 2 - variance) ** 0.5, abs=1e-3)
    assert own.value == pytest.approx(max((0.3 - rate) ** 2 - variance, 0.0) ** 0.5)
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
