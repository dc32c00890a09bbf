"""Differences of models along a curve: first minus second at every strength, with intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.comparison.rows import Row
from evaluation.comparison.summary import standard_error
from evaluation.comparison.tables import Table
from evaluation.reports.verdicts import pairs_of
from evaluation.results.result import Record, Result
from evaluation.statistics.contrasts import Arm, estimate
from evaluation.statistics.scales import scale_for


class Differences(NamedTuple):
    """A contrast along a curve.

    Attributes:
        first: The model's name.
        second: The control's.
        values: First minus second at each strength, in the metric's unit, `[strengths]`.
        intervals: 95 % each, not corrected for their number, `[strengths, 2]`; None where one of
            the two was trained once.
    """

    first: str
    second: str
    values: np.ndarray
    intervals: np.ndarray | None


def differences(row: Row, table: Table) -> list[Differences]:
    """The stated contrasts of a curve, strength by strength; none without contrasts.

    Args:
        row: A curve of the table.
        table: Its records have the trainings' values.
    """
    about = [each for each in table.verdicts if _curve(each.row) == _curve(row)]
    pairs = pairs_of(about)
    arms = _arms(row, table.records) if pairs else []
    return [_along(arms, row, first, second) for first, second in pairs]


def _curve(row: Row) -> tuple:
    return row.suite, row.condition, row.metric, row.axis, row.definition


def _arms(row: Row, records: Sequence[Record]) -> list[dict[str, Arm]]:
    """The trainings of each model at every strength."""
    found: dict[str, list[list[Result]]] = {name: [] for name in row.headlines}
    for record in records:
        of = record.provenance
        if of.model in found and of.seed in row.headlines[of.model].seeds:
            curve = [each for each in record.results if _is_of(each, row)]
            if curve and curve[0].definition == row.definition:
                found[of.model].append(curve)
    strengths = range(len(next(iter(row.headlines.values())).points))
    return [
        {name: _arm([curve[k] for curve in curves]) for name, curves in found.items()}
        for k in strengths
    ]


def _is_of(result: Result, row: Row) -> bool:
    return (result.suite, result.condition, result.metric.name) == (
        row.suite,
        row.condition,
        row.metric.name,
    )


def _arm(results: Sequence[Result]) -> Arm:
    outcomes = [each.outcomes for each in results]
    return Arm(
        values=np.array([each.value for each in results]),
        images=results[0].count,
        outcomes=None if any(each is None for each in outcomes) else np.array(outcomes),
        error=standard_error(results),
    )


def _along(arms: Sequence[dict[str, Arm]], row: Row, first: str, second: str) -> Differences:
    if min(len(arms[0][name].values) for name in (first, second)) < 2:
        gaps = [np.mean(at[first].values) - np.mean(at[second].values) for at in arms]
        return Differences(first, second, np.array(gaps), None)
    scale = scale_for(row.metric.limits, row.metric.is_count)
    found = [estimate(at[first], at[second], scale, None) for at in arms]
    return Differences(
        first,
        second,
        np.array([each.natural for each in found]),
        np.array([sorted(each.natural_interval) for each in found]),
    )
