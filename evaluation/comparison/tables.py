"""Tables that compare models, from records of evaluations.

Records belong to one table if they are of the same data, of as many images of it, and of the same
kind of checkpoint: models at equal accuracy and models at the end of their training are never in
one table. Within it a row is of one suite, condition and metric, of equal definition.
Only within a row are models compared: nothing is paired that was not measured on the same images
in the same way.

In each row the best model is tested against every other. All tests of one suite in a table make a
family, corrected by Holm, and a row has a winner only if all of its tests are significant. That the
best was chosen by the same numbers does no harm: a wrong winner must beat the truly best model, by
tests of which the family has one for each of the M - 1 models that could, so with two-sided tests
at most half of the error that is allowed is spent on each row.

A model that was trained once has no variance between trainings: a test against it knows that of the
images only, and speaks of that one training. Such tests are kept, but a row with one has no winner.
"""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.comparison.summary import Headline, make_headline
from evaluation.results.provenance import Checkpoint
from evaluation.results.quantities import Axis, Metric
from evaluation.results.result import Record, Result
from evaluation.statistics.bootstrap import Difference, difference
from evaluation.statistics.intervals import holm

SIGNIFICANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Contest:
    """The best model of a row against another.

    Attributes:
        best: Its name.
        other: The other's.
        difference: Best minus other.
        adjusted: The p-value, corrected for all contests of the suite in the table.
    """

    best: str
    other: str
    difference: Difference
    adjusted: float

    @property
    def is_significant(self) -> bool:
        """True if the difference is significant."""
        return self.adjusted <= SIGNIFICANCE


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
        contests: Of the best model against each other one, where more, or less, of the metric is
            better and there are outcomes per image.
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
    contests: tuple[Contest, ...] = ()
    distinction: str = ""

    @property
    def is_curve(self) -> bool:
        """True if there are several strengths."""
        return any(len(headline.points) > 1 for headline in self.headlines.values())

    @property
    def is_of_trainings(self) -> bool:
        """True if each compared model was trained more than once: tests then speak of models."""
        compared = {name for each in self.contests for name in (each.best, each.other)}
        return all(len(self.headlines[name].seeds) > 1 for name in compared)

    def leaders(self) -> tuple[str, ...]:
        """The best model, then those that cannot be told from it.

        Empty without contests, and where one is of a single training.
        """
        if not self.contests or not self.is_of_trainings:
            return ()
        equals = (contest.other for contest in self.contests if not contest.is_significant)
        return (self.contests[0].best, *equals)

    def winner(self) -> str | None:
        """The model that is significantly better than every other, if there is one."""
        leaders = self.leaders()
        return leaders[0] if len(leaders) == 1 else None


@dataclasses.dataclass(frozen=True)
class Table:
    """Models that may be compared.

    Attributes:
        dataset: Its name.
        checkpoint: Of all its models.
        limit: Images asked for; 0 for all.
        data: Checksum of the dataset.
        models: Their names, in the order of the records.
        rows: Of clean images first, then suite by suite in the order of the records.
        records: Behind the table.
        flags: What a reader must know of the whole table.
    """

    dataset: str
    checkpoint: Checkpoint
    limit: int
    data: str
    models: tuple[str, ...]
    rows: tuple[Row, ...]
    records: tuple[Record, ...]
    flags: tuple[str, ...]

    @property
    def overview(self) -> tuple[Row, ...]:
        """The rows that several models have, unless there is but one model."""
        if len(self.models) == 1:
            return self.rows
        return tuple(row for row in self.rows if len(row.headlines) > 1)


def tabulate(records: Sequence[Record]) -> list[Table]:
    """All tables of records.

    Args:
        records: Of any models, data, suites and checkpoints.

    Returns:
        One table for each dataset, version of it, limit and kind of checkpoint: datasets in the
        order of the records, the ends of trainings before other checkpoints.
    """
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        groups.setdefault(_group(record), []).append(record)
    numbers = {name: number for number, name in enumerate(_models(records))}
    datasets = list(dict.fromkeys(dataset for dataset, *_ in groups))
    tables = []
    for key, members in sorted(groups.items(), key=lambda item: _order(item[0], datasets)):
        dataset, checkpoint, limit, data = key
        members, flags = _without_doubles(members)
        if sum(other[:2] == key[:2] for other in groups) > 1:
            flags.append(
                f"there are records of {dataset} with other images or another limit, in a table of "
                "their own: they are never compared with these"
            )
        flags += _single_trainings(members)
        rows = [row for suite in _by_suite(_rows(members, numbers)) for row in _contested(suite)]
        tables.append(
            Table(
                dataset,
                checkpoint,
                limit,
                data,
                _models(members),
                tuple(rows),
                tuple(members),
                tuple(flags),
            )
        )
    return tables


def _group(record: Record) -> tuple:
    of = record.provenance
    return of.dataset, of.checkpoint, of.limit, of.data


def _order(group: tuple, datasets: Sequence[str]) -> tuple:
    dataset, checkpoint, limit, _ = group
    return datasets.index(dataset), checkpoint.order, limit


def _models(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.provenance.model for record in records))


def _without_doubles(records: list[Record]) -> tuple[list[Record], list[str]]:
    """One record for each model, seed and suite: a training that was repeated is no second one."""
    kept: dict[tuple, Record] = {}
    flags = []
    for record in records:
        of = record.provenance
        first = kept.setdefault((of.model, of.seed, record.suite), record)
        if first is not record:
            run = first.provenance.run
            flags.append(f"{of.run} is the same model and seed as {run} and left out")
    return list(kept.values()), list(dict.fromkeys(flags))


def _single_trainings(records: Sequence[Record]) -> list[str]:
    """Says whose results are of one training, where those of others are of several."""
    seeds = {name: set() for name in _models(records)}
    for record in records:
        seeds[record.provenance.model].add(record.provenance.seed)
    if all(len(found) == 1 for found in seeds.values()):
        return []
    return [
        f"{name} was trained once: how much another seed would differ is not known"
        for name, found in seeds.items()
        if found != {None} and len(found) == 1
    ]


def _rows(records: Sequence[Record], numbers: dict[str, int]) -> list[Row]:
    """Rows without contests."""
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
    return _distinguished([_row(models, numbers) for _, models in by_place])


def _distinguished(rows: Sequence[Row]) -> list[Row]:
    """The same rows; those with the same names say which definitions differ."""
    alike: dict[tuple, list[Row]] = {}
    for row in rows:
        alike.setdefault((row.suite, row.condition, row.metric.name), []).append(row)

    def distinction(row: Row) -> str:
        others = alike[row.suite, row.condition, row.metric.name]
        return ", ".join(
            f"{name}: {value}"
            for name, value in row.definition.items()
            if any(other.definition.get(name) != value for other in others)
        )

    return [dataclasses.replace(row, distinction=distinction(row)) for row in rows]


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
    return json.dumps(
        [[r.strength, r.metric.unit, r.count, r.data_checksum, r.definition] for r in curve],
        sort_keys=True,
    )


def _row(models: dict[str, dict], numbers: dict[str, int]) -> Row:
    result = next(iter(next(iter(models.values())).values()))[0]
    headlines = {
        name: make_headline(list(by_seed), list(by_seed.values()), numbers[name], result.axis)
        for name, by_seed in models.items()
    }
    return Row(
        suite=result.suite,
        condition=result.condition,
        metric=result.metric,
        axis=result.axis,
        definition=result.definition,
        chance=result.chance,
        headlines=headlines,
    )


def _by_suite(rows: Sequence[Row]) -> list[list[Row]]:
    return [list(members) for _, members in itertools.groupby(rows, key=lambda row: row.suite)]


def _contested(rows: Sequence[Row]) -> list[Row]:
    """The rows of a suite with their contests, all of them corrected as one family."""
    found = [_differences(row) for row in rows]
    adjusted = iter(holm([pair.p_value for of_row in found for *_, pair in of_row]))
    return [
        dataclasses.replace(
            row,
            contests=tuple(Contest(*contest, adjusted=float(next(adjusted))) for contest in of_row),
        )
        for row, of_row in zip(rows, found, strict=True)
    ]


def _differences(row: Row) -> list[tuple[str, str, Difference]]:
    """The best model, another, and best minus other."""
    samples = {name: each.sample for name, each in row.headlines.items() if each.sample is not None}
    if row.metric.higher_is_better is None or not samples:
        return []
    choose = max if row.metric.higher_is_better else min
    best = choose(samples, key=lambda name: row.headlines[name].value)
    return [
        (best, other, difference(samples[best], samples[other], row.metric.limits))
        for other in samples
        if other != best
    ]
