import numpy as np
import pytest

from evaluation.statistics import wilson_interval


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
