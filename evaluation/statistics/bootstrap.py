"""Intervals of a model's value, over training seeds and images at once.

The outcomes of a model are `[seeds, images]`. Its value is uncertain in two ways: other images
could have been in the test set, and other seeds could have been trained with. The two-level
bootstrap draws both anew, each with replacement. Images are drawn alike for all models; seeds are
drawn for each model alone, for its trainings are its own.

Of S seeds, S - 1 are drawn, which makes the variance between few seeds right on average (Rao and
Wu, 1988); S draws of three seeds would give two thirds of it. To draw rows and columns of a table
independently errs towards wide intervals (Owen, 2007, "The pigeonhole bootstrap"). Three seeds are
also too few to read tails off the draws, whose mean can never leave the range of the three: the
ends come from Student's t with the bootstrap's standard error and the degrees of freedom that its
parts have together (Satterthwaite, 1946). With one seed the draws are of images alone, and nothing
is said about another training.
"""

import functools

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


def resample(outcomes: np.ndarray, model: int = 0) -> np.ndarray:
    """Values of a model on resampled seeds and images.

    Args:
        outcomes: `[seeds, ..., images]`; what lies between is resampled together.
        model: Its number; seeds of models of other numbers are drawn independently.

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


def _t_quantile(outcomes: np.ndarray) -> float:
    return float(scipy_stats().t.ppf((1 + _CONFIDENCE) / 2, _freedom(outcomes)))


def _freedom(outcomes: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom of a model's seeds and its images."""
    parts = [np.mean(outcomes, axis=0), np.mean(outcomes, axis=-1)]
    variances = [
        (np.var(each, ddof=1) / len(each), len(each) - 1) for each in parts if len(each) > 1
    ]
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
