"""Results: measured values with intervals, and as a line for people."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.dataset import Split
from evaluation.results.artifacts import Artifact
from evaluation.results.provenance import Provenance
from evaluation.results.quantities import RATE, Axis, Detail, Metric
from evaluation.statistics.bootstrap import resample, value_interval
from evaluation.statistics.intervals import wilson_interval

SAME_EVERYWHERE = "none: the same for every image"
"""In place of an interval's method, where nothing says how much other images would differ."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One number that a suite measured.

    Two results may be compared if they are of the same suite, condition, metric and strength, of
    the same images, and equal in `definition`; nothing else of them decides.

    Attributes:
        suite: Its name.
        metric: The quantity.
        value: In the metric's unit.
        interval: Lower and upper end around the value.
        interval_method: How the interval was found, and its confidence.
        count: Images behind the value.
        data_checksum: SHA-256 of those images and their labels.
        details: Further numbers that explain the value, by name.
        condition: Which of the suite's conditions this is of, where it has several; results of one
            condition at several strengths are a curve.
        axis: The strength along which a condition is measured; None if it has none.
        strength: Its value; None if the condition has none.
        definition: All else that defines what was measured, ready for JSON.
        chance: What guessing reaches, for figures; None if that is not known.
        flags: What a reader must know before trusting the value, as short sentences.
        outcomes: `[count]` numbers or booleans, one for each image in order, whose mean is the
            value; for tests that pair images. None where the value is no such mean.
        artifacts: What there is to see besides.
    """

    suite: str
    metric: Metric
    value: float
    interval: tuple[float, float]
    interval_method: str
    count: int
    data_checksum: str
    details: Mapping[str, Detail] = dataclasses.field(default_factory=dict)
    condition: str = ""
    axis: Axis | None = None
    strength: float | None = None
    definition: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    chance: float | None = None
    flags: tuple[str, ...] = ()
    outcomes: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    artifacts: tuple[Artifact, ...] = dataclasses.field(default=(), compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Record:
    """All results of one suite and model.

    Attributes:
        suite: Its name.
        provenance: Of the results.
        results: None of them where the suite does not apply.
        seconds: That measuring took.
    """

    suite: str
    provenance: Provenance
    results: tuple[Result, ...]
    seconds: float = 0.0


def show_value(value: float, unit: str) -> str:
    """A value for people, with its unit."""
    return f"{100 * value:.2f} %" if unit == RATE else f"{value:.2f} {unit}".strip()


def show_interval(interval: Sequence[float], unit: str) -> str:
    """An interval for people, with its unit."""
    low, high = interval
    if unit == RATE:
        low, high, unit = 100 * low, 100 * high, "%"
    return f"{low:.2f} to {high:.2f} {unit}".strip()


def rate(
    suite: str,
    metric: Metric,
    hits: np.ndarray,
    split: Split,
    **facts: Any,
) -> Result:
    """A share of the images of a split, with Wilson's interval.

    Args:
        suite: Its name.
        metric: A share.
        hits: `[count]` booleans, one for each image of the split.
        split: The images.
        facts: Further fields of a `Result`.
    """
    found, count = int(np.sum(hits)), len(split)
    return Result(
        suite=suite,
        metric=metric,
        value=found / count,
        interval=wilson_interval(found, count),
        interval_method="Wilson 95 %",
        count=count,
        data_checksum=split.checksum,
        outcomes=np.asarray(hits, bool),
        **facts,
    )


def mean(
    suite: str,
    metric: Metric,
    outcomes: np.ndarray,
    split: Split,
    *,
    interval_method: str = "bootstrap over images 95 %",
    **facts: Any,
) -> Result:
    """A mean over images, with a bootstrap interval.

    Args:
        suite: Its name.
        metric: What is averaged.
        outcomes: `[count]` numbers, one for each image in order.
        split: The images.
        interval_method: What the bootstrap is called, where the numbers are not of single images.
        facts: Further fields of a `Result`.
    """
    interval = value_interval(outcomes[None], resample(outcomes[None]), metric.limits)
    if interval[0] == interval[1]:
        interval_method = SAME_EVERYWHERE
    return Result(
        suite=suite,
        metric=metric,
        value=float(np.mean(outcomes)),
        interval=interval,
        interval_method=interval_method,
        count=len(outcomes),
        data_checksum=split.checksum,
        outcomes=outcomes,
        **facts,
    )
