"""Measured results as JSON, and as a line or a table for people."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.sources import Split
from evaluation.paired import resample, value_interval
from evaluation.statistics import limits_of, wilson_interval

SCHEMA = 2
SAME_EVERYWHERE = "none: the same for every image"
"""In place of an interval's method, where nothing says how much other images would differ."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One number that a suite measured.

    Attributes:
        suite: Its name.
        metric: What the value is.
        value: A rate in [0, 1], or a number in `unit`.
        interval: Lower and upper end around the value.
        interval_method: How the interval was found, and its confidence.
        count: Images behind the value.
        data_checksum: SHA-256 of those images and their labels.
        unit: "rate", shown as a percentage, or what the value is measured in.
        details: Further numbers that explain the value, by name and in its unit.
        condition: Which of the suite's conditions this is of, where it has several; results of one
            condition at several strengths are a curve.
        strength: How strong the condition was, in the unit of `axis`; None if it has no strength.
        axis: What strength is, with its unit, as in "angle, degrees".
        parameters: All else that defines what was measured, ready for JSON.
        flags: What a reader must know before trusting the value, as short sentences.
        outcomes: `[count]` numbers or booleans, one for each image in order, whose mean is the
            value; for tests that pair images. None where the value is no such mean.
        pictures: Images to look at, by what they show: `[count, height, width, channels]` in
            [0, 1], stored with 8 bits.
    """

    suite: str
    metric: str
    value: float
    interval: tuple[float, float]
    interval_method: str
    count: int
    data_checksum: str
    unit: str = "rate"
    details: dict[str, float] = dataclasses.field(default_factory=dict)
    condition: str = ""
    strength: float | None = None
    axis: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    outcomes: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    pictures: Mapping[str, np.ndarray] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    def to_json(self) -> dict[str, Any]:
        """All but the arrays, ready for JSON."""
        fields = (f.name for f in dataclasses.fields(self) if f.compare)
        return {name: getattr(self, name) for name in fields}


def show_value(value: float, unit: str) -> str:
    """A value for people, with its unit."""
    return f"{100 * value:.2f} %" if unit == "rate" else f"{value:.2f} {unit}"


def show_interval(interval: Sequence[float], unit: str) -> str:
    """An interval for people, with its unit."""
    low, high = interval
    if unit == "rate":
        low, high, unit = 100 * low, 100 * high, "%"
    return f"{low:.2f} to {high:.2f} {unit}"


def rate(
    suite: str,
    metric: str,
    hits: np.ndarray,
    split: Split,
    details: dict[str, float] | None = None,
    **facts: Any,
) -> Result:
    """A share of the images of a split, with Wilson's interval.

    Args:
        suite: Its name.
        metric: What a hit is.
        hits: `[count]` booleans, one for each image of the split.
        split: The images.
        details: See `Result`.
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
        details=details or {},
        outcomes=np.asarray(hits, bool),
        **facts,
    )


def mean(
    suite: str,
    metric: str,
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
    limits = limits_of(metric, facts.get("unit", "rate"), len(outcomes))
    interval = value_interval(outcomes[None], resample(outcomes[None]), limits)
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


def make_record(results: Sequence[Result], **facts: Any) -> dict[str, Any]:
    """What a run leaves behind: its facts and all results, under a schema version."""
    return {"schema": SCHEMA, **facts, "results": [r.to_json() for r in results]}
