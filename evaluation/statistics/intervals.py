"""Intervals for measured values, and corrections for many tests."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

_RESAMPLES = 1000

Limits = tuple[float, float]
"""The least and the largest value that a quantity can have."""
ANY: Limits = (-np.inf, np.inf)
SHARE: Limits = (0.0, 1.0)
NOT_NEGATIVE: Limits = (0.0, np.inf)


def scipy_stats() -> Any:
    """`scipy.stats`; importing it takes half a second, which most commands can do without."""
    from scipy import stats

    return stats


def within(interval: tuple[float, float], limits: Limits) -> tuple[float, float]:
    """Part of an interval that lies within limits."""
    low, high = (min(max(end, limits[0]), limits[1]) for end in interval)
    return low, high


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
    interval = scipy_stats().binomtest(successes, count).proportion_ci(confidence, method="wilson")
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
    rank = int(scipy_stats().binom.ppf((1.0 - confidence) / 2.0, len(ordered), 0.5))
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[len(ordered) - rank])


def auroc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative, ties counting half.

    Args:
        positives: `[positives]` scores, at least one.
        negatives: Likewise.

    Raises:
        ValueError: if there are none of either, or scores are NaN, which have no order.
    """
    if not len(positives) or not len(negatives):
        raise ValueError("an AUROC needs at least one positive and one negative")
    if np.isnan(positives).any() or np.isnan(negatives).any():
        raise ValueError("an AUROC needs scores that have an order, and NaN has none")
    ranks = scipy_stats().rankdata(np.concatenate([positives, negatives]))[: len(positives)]
    above = np.sum(ranks) - len(positives) * (len(positives) + 1) / 2
    return float(above / (len(positives) * len(negatives)))


def auroc_outcomes(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Each image's part of an AUROC of paired scores, so that AUROCs can be compared as means are.

    The chance that its positive scores above a random negative, plus that of a random positive to
    score above its negative, less the AUROC (the components of DeLong, DeLong and Clarke-Pearson,
    1988): the variance of the mean is that of the AUROC to first order.

    Args:
        positives: `[count]` scores, one for each image.
        negatives: `[count]`, likewise.

    Returns:
        `[count]`, of which the mean is the AUROC.

    Raises:
        ValueError: as `auroc`, and if there are not as many of one as of the other.
    """
    if len(positives) != len(negatives):
        raise ValueError("scores are paired only if there are as many positives as negatives")
    above = _share_below(positives, negatives)
    return above + 1.0 - _share_below(negatives, positives) - auroc(positives, negatives)


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of the others below each score, ties counting half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return below / (2.0 * len(others))


def paired_interval(
    statistic: Callable[..., float], *scores: np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap over images; all scores of an image are drawn together.

    Args:
        statistic: Of arrays like `scores`, a finite number.
        scores: `[images, ...]` each.
        confidence: In (0, 1).

    Returns:
        Lower and upper end; the same for the same scores.
    """
    random, count = np.random.default_rng(0), len(scores[0])
    drawn = [
        statistic(*(score[chosen] for score in scores))
        for chosen in random.integers(0, count, (_RESAMPLES, count))
    ]
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(drawn, [tail, 100.0 - tail])
    return float(low), float(high)


class Spread(NamedTuple):
    """Variation of a value from one training seed to another.

    Attributes:
        mean: Over the seeds.
        deviation: Standard deviation, with one degree of freedom lost to the mean.
        interval: For the mean over all seeds that could have been drawn.
    """

    mean: float
    deviation: float
    interval: tuple[float, float]


def spread(values: Sequence[float], confidence: float = 0.95, *, limits: Limits = ANY) -> Spread:
    """Mean, standard deviation and t interval (Student, 1908) of one value for each seed.

    Args:
        values: At least two.
        confidence: Coverage, in (0, 1), if the values are drawn from a normal distribution.
        limits: Of what the values can be; what of the interval lies beyond is left out, which no
            value that is possible misses.

    Raises:
        ValueError: of fewer than two values, which say nothing about a spread.
    """
    if len(values) < 2:
        raise ValueError(f"a spread needs at least two values, not {len(values)}")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = (
        scipy_stats().t.ppf((1.0 + confidence) / 2.0, len(values) - 1)
        * deviation
        / len(values) ** 0.5
    )
    return Spread(mean, deviation, within((float(mean - half), float(mean + half)), limits))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values that account for being many (Holm, 1979).

    Rejecting wherever the result is at most 5 % makes any false rejection at all, among however
    many tests and however they depend on each other, as rare as 5 %.

    Args:
        p_values: Of all tests of a table, in [0, 1].

    Returns:
        `[count]` adjusted p-values, in the order given, at most 1.

    Raises:
        ValueError: if one is NaN, which sorts as if it were the largest.
    """
    values = np.asarray(p_values, float)
    if np.isnan(values).any():
        raise ValueError("a p-value is NaN")
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return adjusted
