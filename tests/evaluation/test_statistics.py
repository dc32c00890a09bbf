import numpy as np
import pytest

from evaluation.results.quantities import Metric
from evaluation.statistics.intervals import (
    NOT_NEGATIVE,
    auroc,
    auroc_outcomes,
    holm,
    median_interval,
    paired_interval,
    spread,
    wilson_interval,
)


def by_hand(successes, count, z=1.959963984540054):
    rate = successes / count
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


@pytest.mark.parametrize(("successes", "count"), [(9925, 10000), (1, 10), (5, 10), (0, 7), (7, 7)])
def test_wilson_by_hand(successes, count):
    low, high = wilson_interval(successes, count)
    np.testing.assert_allclose((low, high), by_hand(successes, count), atol=1e-9)
    assert 0.0 <= low <= successes / count <= high <= 1.0


def test_more_confidence_is_wider():
    assert wilson_interval(5, 10, 0.99)[0] < wilson_interval(5, 10, 0.9)[0]


def test_a_median_lies_between_order_statistics():
    # The 95 % interval for the median of 100 values runs from the 40th to the 61st.
    values = np.random.default_rng(0).permutation(np.arange(1, 101))
    assert median_interval(values) == (40.0, 61.0)
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


def test_the_median_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        low, high = median_interval(random.exponential(size=50))
        hits += low <= np.log(2) <= high
    assert 940 <= hits <= 990


def test_a_spread_by_hand():
    # Deviations -1, 0 and 1 about 3: variance 1; 4.302653 is Student's 97.5 % for two degrees.
    mean, deviation, (low, high) = spread([2.0, 3.0, 4.0])
    assert (mean, deviation) == (3.0, 1.0)
    np.testing.assert_allclose((low, high), 3 + 4.302653 / np.sqrt(3) * np.array([-1, 1]), 1e-6)


def test_a_spread_covers_as_often_as_it_says():
    values = np.random.default_rng(0).normal(5.0, 2.0, size=(1000, 3))
    intervals = [spread(row).interval for row in values]
    assert 935 <= sum(low <= 5.0 <= high for low, high in intervals) <= 965


def test_one_value_has_no_spread():
    with pytest.raises(ValueError, match="at least two values, not 1"):
        spread([0.5])


def test_holm_by_hand():
    # In order .005, .01, .03, .04: times 4, 3, 2, 1 is .02, .03, .06, .04, and none may fall.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm([0.7, 0.6]), [1.0, 1.0])
    assert holm([]).shape == (0,)
    assert holm([0.04]) == [0.04]


def test_holm_keeps_any_false_alarm_rare():
    random = np.random.default_rng(0)
    alarms = [np.any(holm(random.random(20)) <= 0.05) for _ in range(2000)]
    assert 0.03 <= np.mean(alarms) <= 0.065


def test_auroc_counts_pairs_and_ties_half():
    assert auroc(np.array([1.0, 2.0]), np.array([0.0, 1.5])) == 0.75
    assert auroc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    random = np.random.default_rng(0)
    positives, negatives = random.integers(0, 9, 40), random.integers(-2, 7, 30)
    pairs = np.sign(positives[:, None] - negatives) / 2 + 0.5
    assert auroc(positives, negatives) == pytest.approx(pairs.mean())


def test_intervals_of_pairs_keep_pairs_together():
    base = np.random.default_rng(1).normal(size=300)
    shifted = base + 0.1

    def mean_difference(one, other):
        return float(np.mean(one - other))

    # However the images are drawn, each pair differs by as much.
    np.testing.assert_allclose(paired_interval(mean_difference, shifted, base), (0.1, 0.1))
    low, high = paired_interval(lambda x: float(np.mean(x)), base)
    half = 1.96 * base.std() / np.sqrt(300)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert paired_interval(lambda x: float(np.mean(x)), base) == (low, high)


@pytest.mark.parametrize(
    ("metric", "limits"),
    [
        (Metric("errors", "images", bounds=(0.0, 50.0)), (0.0, 50.0)),
        (Metric("AUROC"), (0.0, 1.0)),
        (Metric("training images/s", "images/s", bounds=NOT_NEGATIVE), (0.0, np.inf)),
        (Metric("R2 within classes", "", bounds=(-np.inf, 1.0)), (-np.inf, 1.0)),
        (Metric("configural effect", "of score"), (-np.inf, np.inf)),
    ],
)
def test_a_spread_stays_within_what_its_quantity_can_be(metric, limits):
    assert metric.limits == limits
    for values in ([0.01, 0.99], [-3.0, 1.0], [2.0, 49.0]):
        if limits[0] <= min(values) and max(values) <= limits[1]:
            low, high = spread(values, limits=limits).interval
            assert limits[0] <= low <= np.mean(values) <= high <= limits[1]
    # What lies within stays as it is.
    assert spread([0.5, 0.5001], limits=limits).interval == spread([0.5, 0.5001]).interval


def test_an_auroc_is_the_mean_of_its_images_parts():
    random = np.random.default_rng(0)
    ability = random.normal(size=400)
    positives = np.round(ability + random.normal(size=400) + 1.0, 1)  # with ties
    negatives = np.round(ability + random.normal(size=400), 1)
    parts = auroc_outcomes(positives, negatives)
    assert np.mean(parts) == pytest.approx(auroc(positives, negatives), abs=1e-12)
    by_hand = [
        np.mean((p > negatives) + 0.5 * (p == negatives))
        + np.mean((positives > n) + 0.5 * (positives == n))
        for p, n in zip(positives, negatives, strict=True)
    ]
    np.testing.assert_allclose(parts, np.array(by_hand) - auroc(positives, negatives), atol=1e-12)
    # The error of the mean is that of the AUROC.
    low, high = paired_interval(auroc, positives, negatives)
    assert 2 * 1.96 * np.std(parts) / 20.0 == pytest.approx(high - low, rel=0.1)
    with pytest.raises(ValueError, match="as many positives"):
        auroc_outcomes(positives, negatives[1:])


def test_what_has_no_order_is_refused():
    some, nan = np.array([0.1, 0.2]), np.array([0.1, np.nan])
    for positives, negatives in ((some, nan), (nan, some), (some, some[:0]), (some[:0], some)):
        with pytest.raises(ValueError, match="AUROC needs"):
            auroc(positives, negatives)
    with pytest.raises(ValueError, match="NaN"):
        holm([0.1, np.nan])
