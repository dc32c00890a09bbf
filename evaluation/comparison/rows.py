"""Rows of a comparison: all models under one condition, on the same images in the same way."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.comparison.summary import Headline, behind_headline, make_headline
from evaluation.results.quantities import Axis, Metric, Part
from evaluation.results.result import Record, Result


@dataclasses.dataclass(frozen=True)
class Row:
    """All models under one condition.

    Attributes:
        suite: Name of the suite.
        condition: Name of the condition, or empty.
        metric: The quantity.
        axis: The strength; None if the condition has none.
        definition: All else that defines what was measured.
        chance: What guessing reaches; None if that is not known.
        headlines: By model; models that were not measured are left out.
        part: Of the axis, that the headlines are of; empty for all of it.
        leads: True of the first of a curve's parts, and of a curve without parts: what is shown of
            the whole curve is shown once.
        distinction: The parts of the definition that tell it from others of this suite, condition
            and metric.
    """

    suite: str
    condition: str
    metric: Metric
    axis: Axis | None
    definition: Mapping[str, Any]
    chance: float | None
    headlines: dict[str, Headline]
    part: str = ""
    leads: bool = True
    distinction: str = ""

    @property
    def is_curve(self) -> bool:
        """True if there are several strengths."""
        return any(len(headline.points) > 1 for headline in self.headlines.values())

    @property
    def place(self) -> str:
        """Condition and part."""
        return ", ".join(filter(None, (self.condition, self.part)))


def make_rows(records: Sequence[Record], numbers: Mapping[str, int]) -> list[Row]:
    """Puts the records of one table together, clean images first, then suite by suite.

    Args:
        records: One for each model, seed and suite.
        numbers: Of the models, see `evaluation.statistics.bootstrap.resample`.
    """
    found: dict[tuple, dict[str, dict]] = {}
    for record in records:
        for key, curve in _curves(record).items():
            of_model = found.setdefault(key, {}).setdefault(record.provenance.model, {})
            of_model[record.provenance.seed] = curve
    by_place = [(key[:3], models) for key, models in found.items()]
    places = list(dict.fromkeys(place for place, _ in by_place))
    # A suite's rows together, also those that only a later record has.
    suites = list(dict.fromkeys(["clean", *(suite for suite, *_ in places)]))
    by_place.sort(key=lambda item: (suites.index(item[0][0]), places.index(item[0])))
    return _distinguished([row for _, models in by_place for row in _rows(models, numbers)])


def _curves(record: Record) -> dict[tuple, list[Result]]:
    """The results of a record, those of one condition and metric together.

    The key has all that makes results comparable.
    """
    curves: dict[tuple, list[Result]] = {}
    for result in record.results:
        place = (result.suite, result.condition, result.metric.name)
        curves.setdefault(place, []).append(result)
    return {(*place, _definition(curve)): curve for place, curve in curves.items()}


def _definition(curve: Sequence[Result]) -> str:
    """What results of one condition must have alike, as text."""
    alike = [
        [
            dataclasses.asdict(result.metric),
            *(result.strength, result.count, result.chance, result.data_checksum),
            result.definition,
        ]
        for result in curve
    ]
    return json.dumps(alike, sort_keys=True)


def _rows(models: Mapping[str, Mapping], numbers: Mapping[str, int]) -> list[Row]:
    """The row of a condition, or one for each part of its axis that was measured."""
    curve = next(iter(next(iter(models.values())).values()))
    axis = curve[0].axis
    strengths = [result.strength for result in curve]
    parts: list[Part | None] = [
        part
        for part in (() if axis is None else axis.parts)
        if behind_headline(strengths, axis, part)
    ]
    return [
        _row(models, numbers, curve[0], part, leads=number == 0)
        for number, part in enumerate(parts or [None])
    ]


def _row(
    models: Mapping[str, Mapping],
    numbers: Mapping[str, int],
    first: Result,
    part: Part | None,
    *,
    leads: bool,
) -> Row:
    headlines = {
        name: make_headline(list(by_seed), list(by_seed.values()), numbers[name], first.axis, part)
        for name, by_seed in models.items()
    }
    return Row(
        suite=first.suite,
        condition=first.condition,
        metric=first.metric,
        axis=first.axis,
        definition=first.definition,
        chance=first.chance,
        headlines=headlines,
        part="" if part is None else part.name,
        leads=leads,
    )


def _distinguished(rows: Sequence[Row]) -> list[Row]:
    """The same rows; those with the same names say which definitions differ."""
    alike: dict[tuple, list[Row]] = {}
    for row in rows:
        alike.setdefault((row.suite, row.place, row.metric.name), []).append(row)

    def distinction(row: Row) -> str:
        others = alike[row.suite, row.place, row.metric.name]
        return ", ".join(
            f"{name}: {value}"
            for name, value in row.definition.items()
            if any(other.definition.get(name) != value for other in others)
        )

    return [dataclasses.replace(row, distinction=distinction(row)) for row in rows]
