"""Comparisons of models on the same images, over training seeds and images at once.

The outcomes of a model are `[seeds, images]`. A model's value is uncertain in two ways: other
images could have been in the test set, and other seeds could have been trained with. The two-level
bootstrap draws both anew, each with replacement. Images are drawn once for all models, which is
what pairs them; seeds are drawn for each model alone, for its trainings are its own.

Of S seeds, S - 1 are drawn, which makes the variance between few seeds right on average (Rao and
Wu, 1988); S draws of three seeds would give two thirds of it. To draw rows and columns of a table
independently errs towards wide intervals (Owen, 2007, "The pigeonhole bootstrap"). Three seeds are
also too few to read tails off the draws, whose mean can never leave the range of the three: the
ends come from Student's t with the bootstrap's standard error and the degrees of freedom that its
parts have together (Satterthwaite, 1946). With one seed the draws are of images alone, and nothing
is said about another training.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from evaluation.statistics.intervals import (
    ANY,
    SHARE,
    Limits,
    scipy_stats,
    wilson_interval,
    within,
)

RESAMPLES = 2000
_CONFIDENCE = 0.95
_CHUNK = 250  # draws turned to floats at a time: 10 MB for 10,000 images
_SEED = 20_210_817


class Difference(NamedTuple):
    """Difference of two models' values.

    Attributes:
        value: First minus second.
        interval: 95 % interval around it.
        p_value: Of there being no difference, two-sided.
        method: How the p-value was found.
    """

    value: float
    interval: tuple[float, float]
    p_value: float
    method: str


@dataclasses.dataclass(frozen=True)
class Sample:
    """One model's outcomes and its values on resampled seeds and images.

    Attributes:
        outcomes: `[seeds, images]`.
        replicates: `[RESAMPLES]`, from `resample`.
    """

    outcomes: np.ndarray
    replicates: np.ndarray


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p-value of two classifiers being right equally often (McNemar, 1947; exact).

    Of the images that only one of the two gets right, each has half of them if they are equal.

    Args:
        first: `[images]` booleans.
        second: Likewise, of the same images.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(scipy_stats().binomtest(only_first, only_first + only_second, 0.5).pvalue)


def resample(outcomes: np.ndarray, model: int = 0) -> np.ndarray:
    """Values of a model on resampled seeds and images.

    Args:
        outcomes: `[seeds, ..., images]`; what lies between is resampled together.
        model: Models of one comparison have numbers of their own, so that their seeds are drawn
            independently. Images are drawn alike for all of them.

    Returns:
        `[RESAMPLES, ...]`, the same for the same arguments.
    """
    outcomes = np.asarray(outcomes, np.float32)
    seeds, images = outcomes.shape[0], outcomes.shape[-1]
    table = outcomes.reshape(-1, images).T
    counts = _image_counts(images)
    means = [
        counts[start : start + _CHUNK].astype(np.float32) @ table
        for start in range(0, RESAMPLES, _CHUNK)
    ]
    by_seed = np.concatenate(means).reshape(RESAMPLES, *outcomes.shape[:-1]) / images
    return np.einsum("rs,rs...->r...", _seed_weights(seeds, model), by_seed)


def value_interval(
    outcomes: np.ndarray, replicates: np.ndarray, limits: Limits | None = None
) -> tuple[float, float]:
    """95 % interval of a model's value.

    Args:
        outcomes: `[seeds, images]`.
        replicates: `[RESAMPLES]`, of these outcomes.
        limits: Of what the outcomes can be, as (0, 1) of shares; None takes those of booleans, and
            of other outcomes that they are not negative if none is.

    Returns:
        Lower and upper end, within the limits. If no outcome differs from another, resampling knows
        no doubt: of shares it is then Wilson's interval of as many images, and of any other
        quantity, of which nothing is known beyond the one value, that value.
    """
    if limits is None and np.asarray(outcomes).dtype == bool:
        limits = SHARE
    outcomes = np.asarray(outcomes, float)
    value, images = float(outcomes.mean()), outcomes.shape[-1]
    if limits is None:
        limits = (0.0, np.inf) if outcomes.min() >= 0.0 else ANY
    if np.ptp(outcomes) == 0.0:
        only = float(outcomes.flat[0])
        return wilson_interval(round(only * images), images) if limits == SHARE else (only, only)
    half = _t_quantile(outcomes) * float(np.std(replicates))
    return within((value - half, value + half), limits)


def difference(first: Sample, second: Sample, limits: Limits = ANY) -> Difference:
    """Compares two models on the same images.

    One seed of each, right or wrong image by image, is tested by McNemar's exact test and has the
    percentile interval of the paired bootstrap (Efron and Tibshirani, 1993, chapter 13); anything
    else is the two-level bootstrap of the module.

    Args:
        first: One model.
        second: Another.
        limits: Of the values of both, which say how far apart they can be at most.

    Raises:
        ValueError: if there are not as many images of one as of the other.
    """
    if first.outcomes.shape[-1] != second.outcomes.shape[-1]:
        raise ValueError("models can be paired on the same images only")
    replicates = first.replicates - second.replicates
    value = float(np.mean(first.outcomes) - np.mean(second.outcomes))
    if _is_one_of_hits(first) and _is_one_of_hits(second):
        low, high = np.quantile(replicates, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
        p_value = mcnemar(first.outcomes[0], second.outcomes[0])
        return Difference(value, (float(low), float(high)), p_value, "McNemar, exact")
    error, freedom = float(np.std(replicates)), _freedom(first.outcomes, second.outcomes)
    half = float(scipy_stats().t.ppf((1 + _CONFIDENCE) / 2, freedom)) * error
    p_value = 1.0 if value == 0.0 else 0.0
    if error > 0.0:
        p_value = float(2.0 * scipy_stats().t.sf(abs(value) / error, freedom))
    p_value = max(p_value, _smallest_p_value(first, second))
    widest = limits[1] - limits[0]
    interval = within((value - half, value + half), (-widest, widest))
    return Difference(value, interval, p_value, "two-level bootstrap")


def _is_one_of_hits(sample: Sample) -> bool:
    return len(sample.outcomes) == 1 and sample.outcomes.dtype == bool


def _smallest_p_value(first: Sample, second: Sample) -> float:
    """What no test that swaps the models image by image can go below: 1 if no image differs.

    Few images that all say the same have no variance between them, and seem to leave no doubt.
    """
    gaps = np.mean(first.outcomes, axis=0) - np.mean(second.outcomes, axis=0)
    return min(2.0 ** (1 - int(np.sum(np.abs(gaps) > 1e-9))), 1.0)


def _t_quantile(outcomes: np.ndarray) -> float:
    return float(scipy_stats().t.ppf((1 + _CONFIDENCE) / 2, _freedom(outcomes)))


def _freedom(*models: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom of the seeds of each model and the images they share."""
    gaps = functools.reduce(np.subtract, [np.mean(outcomes, axis=0) for outcomes in models])
    parts = [(gaps, len(gaps))]
    parts += [(np.mean(outcomes, axis=-1), len(outcomes)) for outcomes in models]
    variances = [(np.var(each, ddof=1) / count, count - 1) for each, count in parts if count > 1]
    total = sum(variance for variance, _ in variances)
    if total == 0.0:
        return 1.0
    return float(total**2 / sum(variance**2 / freedom for variance, freedom in variances))


@functools.lru_cache(maxsize=4)
def _image_counts(images: int) -> np.ndarray:
    """How often each image is in each resample: `[RESAMPLES, images]`."""
    random = np.random.default_rng([_SEED, images])
    counts = np.empty((RESAMPLES, images), np.uint8)
    for row in counts:
        row[:] = np.bincount(random.integers(images, size=images), minlength=images)
    return counts


@functools.lru_cache(maxsize=64)
def _seed_weights(seeds: int, model: int) -> np.ndarray:
    """The share of each seed in each resample: `[RESAMPLES, seeds]`."""
    if seeds == 1:
        return np.ones((RESAMPLES, 1))
    random = np.random.default_rng([_SEED, 1, model])
    return random.multinomial(seeds - 1, np.full(seeds, 1.0 / seeds), RESAMPLES) / (seeds - 1)
