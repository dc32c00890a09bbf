import numpy as np
import pytest

from evaluation.statistics import median_interval, wilson_interval


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
