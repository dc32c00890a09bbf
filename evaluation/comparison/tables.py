"""Tables that compare models, from records of evaluations.

Records belong to one table if they are of the same data, of as many images of it, and of the same
kind of checkpoint: models at equal accuracy and models at the end of their training are never in
one table. Within it a row is of one suite, condition and metric, of equal definition.
Only within a row are models compared: nothing is paired that was not measured on the same images
in the same way. What a comparison shows is said of stated contrasts alone (see `contrasts`).
"""

import dataclasses
from collections.abc import Sequence

from evaluation.comparison.contrasts import RATIO, Contrast, Verdict, against, judge
from evaluation.comparison.failures import Failure, find_failures
from evaluation.comparison.rows import Row, make_rows
from evaluation.results.provenance import Checkpoint
from evaluation.results.result import Record


@dataclasses.dataclass(frozen=True)
class Stated:
    """Contrasts of a comparison, as they were stated beforehand.

    Attributes:
        contrasts: Of models by their names; None for each model against the control.
        control: Its name; None for the second where there are two models, and for none of more.
        ratio: Of equivalence, see `evaluation.comparison.contrasts.judge`.
        pending: How many of the stated trainings there are, while some are missing; empty once
            there is nothing to wait for. Nothing is judged before: who looks at a verdict after
            every training, and stops when it pleases, finds too much.
    """

    contrasts: tuple[Contrast, ...] | None = None
    control: str | None = None
    ratio: float = RATIO
    pending: str = ""

    def of(self, models: Sequence[str]) -> Sequence[Contrast]:
        """The contrasts of a table's models."""
        return against(models, self.control) if self.contrasts is None else self.contrasts


@dataclasses.dataclass(frozen=True)
class Table:
    """Models that may be compared.

    Attributes:
        dataset: Its name.
        checkpoint: Of all its models.
        limit: Images asked for; 0 for all.
        data: Checksum of the dataset.
        models: Their names, in the order of the records.
        rows: Of clean images first, then suite by suite in the order of the records, of all
            trainings but those that failed.
        records: Behind the table.
        flags: What a reader must know of the whole table.
        failures: The trainings that failed.
        verdicts: Of the stated contrasts.
    """

    dataset: str
    checkpoint: Checkpoint
    limit: int
    data: str
    models: tuple[str, ...]
    rows: tuple[Row, ...]
    records: tuple[Record, ...]
    flags: tuple[str, ...]
    failures: tuple[Failure, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def overview(self) -> tuple[Row, ...]:
        """The rows that several models have, unless there is but one model."""
        if len(self.models) == 1:
            return self.rows
        return tuple(row for row in self.rows if len(row.headlines) > 1)

    def verdicts_of(self, row: Row) -> list[Verdict]:
        """The verdicts of one of its rows."""
        return [verdict for verdict in self.verdicts if verdict.row is row]


def tabulate(records: Sequence[Record], stated: Stated | None = None) -> list[Table]:
    """All tables of records.

    Args:
        records: Of any models, data, suites and checkpoints.
        stated: What is compared; None for nothing.

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
        failures = find_failures(members)
        failed = {(each.model, each.seed) for each in failures}
        learnt = [r for r in members if (r.provenance.model, r.provenance.seed) not in failed]
        rows = make_rows(learnt, numbers)
        models = _models(members)
        tables.append(
            Table(
                dataset,
                checkpoint,
                limit,
                data,
                models,
                tuple(rows),
                tuple(members),
                tuple(flags),
                tuple(failures),
                judge(rows, stated.of(models), stated.ratio, stated.pending) if stated else (),
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
