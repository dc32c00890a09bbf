import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.bootstrap import (
    RESAMPLES,
    resample,
    value_interval,
)
from evaluation.statistics.intervals import wilson_interval


def hits(pattern, repeats=1):
    return np.array([character == "1" for character in pattern] * repeats)


def test_resamples_of_one_seed_have_the_standard_error_of_a_mean():
    outcomes = np.random.default_rng(0).random((1, 500)) < 0.9
    replicates = resample(outcomes)
    assert replicates.shape == (RESAMPLES,)
    assert np.mean(replicates) == pytest.approx(outcomes.mean(), abs=0.001)
    assert np.std(replicates) == pytest.approx(np.std(outcomes) / np.sqrt(500), rel=0.05)


def test_resamples_of_seeds_have_the_standard_error_of_a_mean_over_seeds():
    # Every image of a seed alike: only the seeds vary, and their mean's variance is s^2 / 3.
    levels = np.array([0.2, 0.5, 0.9])
    replicates = resample(np.repeat(levels[:, None], 10, axis=1))
    assert np.std(replicates) == pytest.approx(np.std(levels, ddof=1) / np.sqrt(3), rel=0.05)


def test_all_models_meet_the_same_images_and_draw_their_own_seeds():
    random = np.random.default_rng(0)
    one_seed, seeds = random.random((1, 40)), random.random((3, 40))
    np.testing.assert_array_equal(resample(one_seed, 0), resample(one_seed, 7))
    np.testing.assert_array_equal(resample(seeds, 4), resample(seeds, 4))
    assert np.any(resample(seeds, 0) != resample(seeds, 1))
    flat = np.repeat(np.array([[0.1], [0.5], [0.7]]), 40, axis=1)
    correlation = np.corrcoef(resample(flat, 0), resample(flat, 1))[0, 1]
    assert abs(correlation) < 0.1


def test_what_lies_between_seeds_and_images_is_resampled_together():
    outcomes = np.random.default_rng(0).random((3, 4, 50))
    together = resample(outcomes, 2)
    assert together.shape == (RESAMPLES, 4)
    for k in range(4):
        np.testing.assert_allclose(together[:, k], resample(outcomes[:, k], 2), atol=1e-6)


def test_the_interval_of_a_value_by_hand():
    # The images vary alone: a t interval of a mean of 400 values.
    values = np.random.default_rng(0).normal(size=(1, 400))
    low, high = value_interval(values, resample(values))
    by_hand = stats.ttest_1samp(values[0], 0.0).confidence_interval(0.95)
    np.testing.assert_allclose((low, high), (by_hand.low, by_hand.high), atol=0.01)
    # The seeds vary alone: a t interval of a mean of three.
    seeds = np.repeat([[1.0], [2.0], [6.0]], 400, axis=1)
    by_hand = stats.ttest_1samp([1.0, 2.0, 6.0], 0.0).confidence_interval(0.95)
    low, high = value_interval(seeds, resample(seeds))
    np.testing.assert_allclose(high, by_hand.high, rtol=0.1)
    assert low == 0.0 > by_hand.low  # what is never negative has no negative mean
    low, high = value_interval(seeds - 9.0, resample(seeds - 9.0))
    np.testing.assert_allclose((low + 9.0, high + 9.0), (by_hand.low, by_hand.high), rtol=0.1)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_not_beyond_doubt(seeds, right):
    outcomes = np.full((seeds, 50), right)
    assert value_interval(outcomes, resample(outcomes)) == wilson_interval(50 * right, 50)


def test_the_interval_of_a_share_stays_among_shares():
    outcomes = np.stack([np.arange(30) < 30, np.arange(30) < 20])
    low, high = value_interval(outcomes, resample(outcomes))
    assert 0.0 <= low < 50 / 60 < high <= 1.0


def simulate(random, seeds, images, level, seed_deviation, image_difficulty):
    """Hits of trainings that differ in skill, on images that differ in difficulty."""
    skill = level + seed_deviation * random.normal(size=(seeds, 1))
    return skill + image_difficulty + random.normal(size=(seeds, images)) > 0


def chance_of_a_hit(level, seed_deviation):
    return stats.norm.cdf(level / np.sqrt(seed_deviation**2 + 2.0))


@pytest.mark.parametrize(("seeds", "seed_deviation"), [(1, 0.0), (3, 0.0), (3, 0.5), (6, 0.3)])
def test_the_two_level_interval_covers_at_least_as_often_as_it_says(seeds, seed_deviation):
    random = np.random.default_rng(0)
    truth, covered = chance_of_a_hit(1.0, seed_deviation), 0
    for _ in range(200):
        outcomes = simulate(random, seeds, 100, 1.0, seed_deviation, random.normal(size=100))
        low, high = value_interval(outcomes, resample(outcomes))
        covered += low <= truth <= high
    assert 0.91 <= covered / 200 <= 1.0


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 7.5, -2.0])
def test_a_quantity_that_is_the_same_everywhere_has_no_interval_of_a_share(value):
    outcomes = np.full((3, 100), value)
    assert value_interval(outcomes, resample(outcomes)) == (value, value)
    if 0.0 <= value <= 1.0:  # if it is known to be a share, there is Wilson's
        share = value_interval(outcomes, resample(outcomes), (0.0, 1.0))
        assert share == wilson_interval(round(100 * value), 100)


def test_no_interval_leaves_what_its_quantity_can_be():
    errors = np.array([[0.1, 0.9, 1.4]])  # which may be above 1
    assert value_interval(errors, resample(errors))[1] > 1.0
    explained = np.array([[0.9, 1.0, 1.0, 0.2], [1.0, 0.9, 1.0, 0.95]])  # as R2, at most 1
    assert value_interval(explained, resample(explained), (-np.inf, 1.0))[1] == 1.0
