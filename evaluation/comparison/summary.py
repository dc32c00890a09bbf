"""One number with an interval for what several seeds of a model reached under one condition.

A condition that was measured at several strengths is a curve. Its headline is its value at the
strength `axis.headline`, where the suite names one, else the mean over all strengths but the one
that leaves images clean (`axis.identity`): that one is the clean accuracy, which has a row of its
own. An axis with parts has a headline for each of them.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from evaluation.results.artifacts import Artifact, averages
from evaluation.results.quantities import Axis, Detail, Part
from evaluation.results.result import SAME_EVERYWHERE, Result
from evaluation.statistics.bootstrap import resample, value_interval
from evaluation.statistics.intervals import SHARE, Limits, Spread, spread, within

# Half of a 95 % interval in standard errors.
_TWO_SIDED = 1.96


@dataclasses.dataclass(frozen=True)
class Point:
    """A model's value at one strength, as the mean over its seeds.

    Attributes:
        strength: None where the condition has none.
        value: In the result's unit.
        interval: 95 %; None where there is no way to tell.
    """

    strength: float | None
    value: float
    interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Headline:
    """Value of a model under a condition, with all that stands behind it.

    Attributes:
        value: Mean over seeds, and over `strengths`.
        strengths: That the value is of.
        interval: 95 %; None where there is no way to tell.
        method: How the interval was found.
        seeds: Of the trainings behind it; None stands for a model of unknown seed.
        by_seed: The value of each.
        spread: Of these values; None of one seed.
        count: Images behind each value.
        points: The value at every strength, the identity's too.
        details: Further numbers, as means over seeds and strengths.
        flags: Of all results, each once.
        outcomes: `[seeds, images]`, whose means are `by_seed`; None where these are no such means.
        error: Standard error of a seed's value over images, by its interval.
        artifacts: As means over seeds and strengths.
    """

    value: float
    strengths: tuple[float | None, ...]
    interval: tuple[float, float] | None
    method: str
    seeds: tuple[int | None, ...]
    by_seed: tuple[float, ...]
    spread: Spread | None
    count: int
    points: tuple[Point, ...]
    details: dict[str, Detail]
    flags: tuple[str, ...]
    outcomes: np.ndarray | None = dataclasses.field(repr=False, compare=False)
    error: float
    artifacts: tuple[Artifact, ...]

    @property
    def values(self) -> np.ndarray:
        """The value of each seed, `[seeds]`."""
        return np.array(self.by_seed)

    @property
    def reach(self) -> tuple[float, float]:
        """Lengths of the interval below and above the value; zeros without one."""
        low, high = self.interval or (self.value, self.value)
        # A bootstrap interval need not contain the value, and no error bar is negative.
        return max(self.value - low, 0.0), max(high - self.value, 0.0)


def make_headline(
    seeds: Sequence[int | None],
    results: Sequence[Sequence[Result]],
    model: int,
    axis: Axis | None,
    part: Part | None = None,
) -> Headline:
    """Puts together what one model reached under one condition.

    Args:
        seeds: Of its trainings.
        results: `[seeds][strengths]`, of one condition and metric, at the same strengths.
        model: Its number, see `evaluation.statistics.bootstrap.resample`.
        axis: Of the strengths.
        part: Of the axis, one that has a strength of the results; None stands for all of it.
    """
    curve, metric = results[0], results[0][0].metric
    chosen = behind_headline([result.strength for result in curve], axis, part)
    kept = [[of_seed[k] for k in chosen] for of_seed in results]
    outcomes = _stack(results)
    replicates = None if outcomes is None else resample(outcomes, model)
    means = drawn = None
    if outcomes is not None and replicates is not None:
        # Resampling is linear: the curve's mean needs no draws of its own.
        means = _mean_over_strengths(outcomes[:, chosen])
        drawn = replicates[:, chosen].mean(axis=1)
    by_seed = tuple(float(np.mean([result.value for result in each])) for each in kept)
    limits = metric.limits
    over_seeds = spread(by_seed, limits=limits) if len(by_seed) > 1 else None
    interval, method = _interval(kept, means, drawn, over_seeds, limits)
    everything = [result for of_seed in (kept if part else results) for result in of_seed]
    return Headline(
        value=float(np.mean(by_seed)),
        strengths=tuple(result.strength for result in kept[0]),
        interval=interval,
        method=method,
        seeds=tuple(seeds),
        by_seed=by_seed,
        spread=over_seeds,
        count=curve[0].count,
        points=_points(results, outcomes, replicates, limits),
        details=_mean_details(everything),
        flags=tuple(dict.fromkeys(flag for result in everything for flag in result.flags)),
        outcomes=means,
        error=standard_error(result for each in kept for result in each),
        artifacts=averages([shown for result in everything for shown in result.artifacts]),
    )


def behind_headline(
    strengths: Sequence[float | None], axis: Axis | None, part: Part | None = None
) -> list[int]:
    """Numbers of the strengths that a headline is of; none of a part that was not measured."""
    if axis is None:
        return list(range(len(strengths)))
    if part is not None:
        return [k for k, strength in enumerate(strengths) if strength in part.strengths]
    if axis.headline is not None and axis.headline in strengths:
        return [strengths.index(axis.headline)]
    identity = axis.identity
    distorted = [
        k for k, strength in enumerate(strengths) if strength is None or strength != identity
    ]
    return distorted or list(range(len(strengths)))


def _stack(results) -> np.ndarray | None:
    """`[seeds, strengths, images]`, or None if a result has no outcomes."""
    if any(result.outcomes is None for curve in results for result in curve):
        return None
    return np.array([[result.outcomes for result in curve] for curve in results])


def standard_error(results: Iterable[Result]) -> float:
    """Computes the mean standard error over images of values, by their intervals."""
    halves = [(high - low) / 2.0 for low, high in (result.interval for result in results)]
    return float(np.mean(halves)) / _TWO_SIDED


def _mean_over_strengths(outcomes: np.ndarray) -> np.ndarray:
    # A single strength stays boolean, for tests that count.
    return outcomes[:, 0] if outcomes.shape[1] == 1 else outcomes.mean(axis=1)


def _interval(results, outcomes, replicates, over_seeds, limits):
    """The interval of a headline and its method."""
    if over_seeds is None and len(results[0]) == 1:
        return _own_interval(results[0][0], limits)
    if outcomes is not None:
        method = "bootstrap of images" if over_seeds is None else "two-level bootstrap"
        return value_interval(outcomes, replicates, limits), f"{method} 95 %"
    if over_seeds is not None:
        return over_seeds.interval, "t over seeds 95 %"
    return None, "none: a mean over strengths without outcomes per image"


def _own_interval(result: Result, limits: Limits) -> tuple[tuple[float, float], str]:
    """The interval of a single result, and its method.

    Records of before this was right gave a quantity that is the same everywhere that of a share.
    """
    outcomes = result.outcomes
    if limits != SHARE and outcomes is not None and np.ptp(outcomes.astype(float)) == 0.0:
        return (result.value, result.value), SAME_EVERYWHERE
    return within(result.interval, limits), result.interval_method


def _points(results, outcomes, replicates, limits) -> tuple[Point, ...]:
    points = []
    for k, at_strength in enumerate(zip(*results, strict=True)):
        values = [result.value for result in at_strength]
        if len(values) == 1:
            interval, _ = _own_interval(at_strength[0], limits)
        elif outcomes is not None:
            interval = value_interval(outcomes[:, k], replicates[:, k], limits)
        else:
            interval = spread(values, limits=limits).interval
        points.append(Point(at_strength[0].strength, float(np.mean(values)), interval))
    return tuple(points)


def _mean_details(results) -> dict[str, Detail]:
    found: dict[str, list[Detail]] = {}
    for result in results:
        for name, detail in result.details.items():
            found.setdefault(name, []).append(detail)
    return {
        name: Detail(float(np.mean([each.value for each in details])), details[0].unit)
        for name, details in found.items()
    }
