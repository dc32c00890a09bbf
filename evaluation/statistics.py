"""Intervals for measured rates."""

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
