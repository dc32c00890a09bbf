"""Intervals for measured rates."""

import numpy as np
from scipy import stats


def wilson_interval(successes: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson, 1927).

    Unlike the normal approximation it stays within [0, 1] and holds its level close to the ends,
    where accuracies live.

    Args:
        successes: Between 0 and `count`.
        count: At least 1.
        confidence: Coverage, in (0, 1).

    Returns:
        Lower and upper end, in [0, 1].
    """
    interval = stats.binomtest(successes, count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def median_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """An interval for the median that holds for every distribution (Thompson, 1936).

    Two order statistics, symmetric about the sample's median, chosen by the binomial distribution.

    Args:
        values: `[count]`, at least one.
        confidence: Least coverage, in (0, 1); with few values the interval is all there is.

    Returns:
        Lower and upper end.
    """
    ordered = np.sort(values)
    # With rank k from either end, the median is missed with probability 2 P(X < k).
    rank = int(stats.binom.ppf((1.0 - confidence) / 2.0, len(ordered), 0.5))
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[len(ordered) - rank])
