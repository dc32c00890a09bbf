import functools

import numpy as np
import pytest

from evaluation import suites
from evaluation.suites.shifts.small_shifts import examples
from tests.evaluation.suites.digits import some_digits

DIGITS = some_digits()
SUITE = suites.load("small_shifts")
LABELS = DIGITS.test.labels


@functools.cache
def results(predict):
    found = SUITE.evaluate(predict, DIGITS, batch_size=24)
    return {(result.metric.name, result.condition): result for result in found}


def constant(images):
    return np.tile(np.eye(10)[3], (len(images), 1))


def left_column(images):
    """Class 1 if there is ink left of the frame's middle third, else class 0."""
    ink = np.asarray(images)[:, :, :9].sum(axis=(1, 2, 3)) > 0.5
    return np.eye(10)[ink.astype(int)]


def ink(images):
    """A class by the amount of ink, which no circular shift changes."""
    amount = np.asarray(images).sum(axis=(1, 2, 3))
    return -np.abs(amount[:, None] - np.linspace(40, 200, 10))


def test_a_constant_prediction_never_jumps():
    for (metric, condition), result in results(constant).items():
        assert result.value == (1.0 if metric == "consistency" else 0.0), condition
        for name, (value, unit) in result.details.items():
            assert unit == "rate"
            if name.startswith("accuracy"):
                assert value == pytest.approx(np.mean(LABELS == 3))


def test_the_sum_of_all_pixels_is_consistent_under_circular_shifts():
    for (metric, condition), result in results(ink).items():
        if condition.startswith("circular"):
            assert result.value == (1.0 if metric == "consistency" else 0.0), condition
    assert results(ink)["flip probability", "scale"].value > 0.0


def test_flips_are_where_ink_enters():
    along_x = results(left_column)["flip probability", "realistic shift along x"]
    along_y = results(left_column)["flip probability", "realistic shift along y"]
    # Moving right, a digit leaves the columns once at most; up and down it never does.
    steps = len(along_x.definition["steps"]) - 1
    assert steps == 8
    assert along_x.value > 0.0
    assert np.max(along_x.outcomes) <= 1 / steps
    assert along_y.value == 0.0


def test_every_mean_is_of_its_outcomes():
    for result in results(left_column).values():
        assert result.value == pytest.approx(np.mean(result.outcomes))
        assert result.interval[0] <= result.value <= result.interval[1]
        assert result.count == len(LABELS)


def test_the_ends_of_every_trajectory_are_shown():
    images = DIGITS.test.images[:2] / np.float32(255.0)
    shown = examples(images)
    assert len(shown) == 2 * 6
    moved = shown["realistic shift along x, 4 pixels"]
    np.testing.assert_allclose(moved[:, :, 4:], images[:, :, :-4], atol=1e-6)
    assert np.all(moved[:, :, :4] == 0.0)
    rolled = shown["circular shift along y, -4 pixels"]
    np.testing.assert_allclose(rolled, np.roll(images, -4, axis=1), atol=1e-6)
