"""Comparisons as Markdown: the report's text version, and tables for a README."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

from common.errors import printable
from common.tables import code, markdown_table
from evaluation.comparison.rows import Row
from evaluation.comparison.summary import Point
from evaluation.comparison.tables import Table, tabulate
from evaluation.reports import verdicts
from evaluation.reports.figures.figures import TABLE, VERDICTS, Drawing
from evaluation.reports.figures.glance import SUITE, column_of, models_of, rows_at_a_glance
from evaluation.reports.formatting import (
    Format,
    name_axis,
    name_row,
    name_seeds,
    name_strength,
    name_suite,
    name_table,
)
from evaluation.reports.methodology import GUIDE
from evaluation.results.pack import read_records
from evaluation.suites import describe_one

_FLAG = "!"


def summarise_headlines(
    folder: pathlib.Path, suites: Sequence[str] = (), metrics: Sequence[str] = ()
) -> str:
    """The headlines of records below a folder, for a README.

    Args:
        folder: See `evaluation.results.pack.read_records`.
        suites: Whose rows are wanted, all by default.
        metrics: Which of these rows are wanted, all by default.

    Returns:
        For each table a title, and rows of conditions with a column for each model.
    """
    tables = [only(table, suites, metrics) for table in tabulate(read_records(folder))]
    return "\n\n".join(part for table in tables for part in (title(table), headlines(table)))


def only(table: Table, suites: Sequence[str] = (), metrics: Sequence[str] = ()) -> Table:
    """A table with some of its rows.

    Args:
        table: Its verdicts of other rows are left out too.
        suites: Whose rows are wanted, all by default.
        metrics: Which of these rows are wanted, all by default.
    """

    def is_wanted(row: Row) -> bool:
        of_suite = not suites or row.suite in suites
        return of_suite and (not metrics or row.metric.name in metrics)

    return dataclasses.replace(
        table,
        rows=tuple(row for row in table.rows if is_wanted(row)),
        verdicts=tuple(each for each in table.verdicts if is_wanted(each.row)),
    )


def summary(table: Table, pictures: Sequence[Drawing] = ()) -> str:
    """Summary of a table: a sentence, pictures of the whole, its verdicts, then headlines."""
    parts = [answer(table), *map(_picture, pictures), verdict_table(table), overview(table)]
    return "\n\n".join(filter(None, parts))


def answer(table: Table) -> str:
    """Verdicts of a table in a paragraph; empty for none."""
    return escape(verdicts.summarise(table))


def verdict_table(table: Table) -> str:
    """A line for each verdict of a table; empty for none."""
    return escaped_table(list(verdicts.lines(table)))


def escaped_table(lines: Sequence[Mapping[str, str]]) -> str:
    """A table of plain texts; empty for none."""
    if not lines:
        return ""
    return _table([{escape(name): escape(text) for name, text in line.items()} for line in lines])


def title(table: Table) -> str:
    """Title of a table, its flags and the trainings that failed, for a README."""
    failures = [f"- {escape(verdicts.describe_failures(table.failures))}"] if table.failures else []
    parts = [f"**{escape(name_table(table))}**", "\n".join([*_flags(table), *failures])]
    return "\n\n".join(filter(None, parts))


def _flags(table: Table) -> list[str]:
    return [f"- {escape(flag)}" for flag in table.flags]


def summarise_shifts(folder: pathlib.Path) -> str:
    """The few numbers of each model that say what shifts do to it, for a README.

    Args:
        folder: See `evaluation.results.pack.read_records`.
    """
    tables = tabulate(read_records(folder))
    return "\n\n".join(
        f"**{escape(name_table(table))}**\n\n{_glance(rows)}"
        for table in tables
        if (rows := rows_at_a_glance(table.rows))
    )


def headlines(table: Table) -> str:
    """A row for each condition, a column for each model; notes below."""
    rows = [
        {
            "condition": escape(name_row(row)),
            **{code(model): _cell(row, model) for model in table.models},
        }
        for row in table.rows
    ]
    notes = []
    found = [each for row in table.rows for each in row.headlines.values()]
    if flags := dict.fromkeys(flag for each in found for flag in each.flags):
        notes.append(f"{_FLAG} marks numbers with flags: {escape('; '.join(flags))}.")
    return "\n\n".join([_table(rows), *notes])


def overview(table: Table) -> str:
    """The headlines of what models share."""
    return headlines(dataclasses.replace(table, rows=table.overview))


def curve(row: Row) -> str:
    """A line for each strength of a row and one for its headlines, for a README."""
    show = Format(row)
    lines = _lines(
        row, lambda at: f"{escape(show.number(at.value))} ({show.interval(at.interval)})"
    )
    mean = {code(model): _cell(row, model) for model in row.headlines}
    return _table([*lines, {_strength(row): "mean", **mean}])


def report(tables: Sequence[Table], drawings: Sequence[Sequence[Drawing]]) -> str:
    """The whole report.

    Args:
        tables: What to compare.
        drawings: The figures of each table; they lie in `figures/`.
    """
    parts = ["# Comparison of models"]
    for table, figures in zip(tables, drawings, strict=True):
        whole = [each for each in figures if each.suite in (TABLE, VERDICTS)]
        parts += [
            f"## {escape(name_table(table))}",
            "\n".join(_flags(table)),
            summary(table, whole),
        ]
        for suite in dict.fromkeys(row.suite for row in table.rows):
            parts += [f"### {escape(name_suite(suite))}", escape(describe_one(suite))]
            parts += [_picture(drawing) for drawing in figures if drawing.suite == suite]
            if suite == SUITE and (rows := rows_at_a_glance(table.rows)):
                parts.append(_glance(rows))
            parts += [_details(row) for row in table.rows if row.suite == suite]
        parts += ["### Facts", _facts(table)]
    return "\n\n".join(filter(None, [*parts, "## How to read this", *map(escape, GUIDE)])) + "\n"


def picture(name: str, caption: str) -> str:
    """A figure of the folder `figures/`, by its file's name without the ending."""
    return f"![{escape(caption)}](figures/{name}.png)"


def _picture(drawing: Drawing) -> str:
    return picture(drawing.name, drawing.caption)


def _glance(rows: Sequence[Row]) -> str:
    """A line for each model, a column for each row."""
    return _table(
        [
            {"model": code(model), **{escape(column_of(row)): _cell(row, model) for row in rows}}
            for model in models_of(rows)
        ]
    )


def _cell(row: Row, model: str) -> str:
    found = row.headlines.get(model)
    if found is None:
        return "-"
    show = Format(row)
    value, interval = escape(show.number(found.value)), show.interval(found.interval)
    shown = f"{value} ({interval})" if interval else value
    return f"{shown} {_FLAG}" if found.flags else shown


def _details(row: Row) -> str:
    """Everything behind a row: its seeds, the spread over them, flags, and the curve."""
    rows, show = [], Format(row)
    for model, found in row.headlines.items():
        over_seeds = found.spread
        rows.append(
            {
                "model": code(model),
                "seeds": name_seeds(found),
                "value": escape(show.number(found.value)),
                "95 % interval": show.interval(found.interval),
                "method": escape(found.method),
                "sd over seeds": escape(show.number(over_seeds.deviation)) if over_seeds else "",
                "t interval over seeds": show.interval(over_seeds.interval) if over_seeds else "",
                "images": f"{found.count:,}",
                "flags": escape("; ".join(found.flags)),
            }
        )
    parts = [f"{escape(name_row(row))}:", _table(rows)]
    return "\n\n".join([*parts, _curve(row)] if row.is_curve and row.leads else parts)


def _curve(row: Row) -> str:
    show = Format(row)
    return _table(_lines(row, lambda at: escape(show.number(at.value))))


def _lines(row: Row, cell: Callable[[Point], str]) -> list[dict[str, str]]:
    """A line for each strength, a cell for each model."""
    points = next(iter(row.headlines.values())).points
    return [
        {
            _strength(row): escape(name_strength(point.strength, row)),
            **{code(model): cell(found.points[k]) for model, found in row.headlines.items()},
        }
        for k, point in enumerate(points)
    ]


def _strength(row: Row) -> str:
    return escape(name_axis(row))


def _facts(table: Table) -> str:
    trainings = {record.provenance.run: record.provenance for record in table.records}
    return _table(
        [
            {
                "run": code(run),
                "model": code(of.model),
                "seed": "not known" if of.seed is None else str(of.seed),
                "step": str(of.step),
                "parameters": str(of.parameters),
                "weights": escape(of.weights[:12]),
                "data": escape(of.data[:12]),
                "device": escape(str(of.environment.get("device", ""))),
            }
            for run, of in trainings.items()
        ]
    )


def _table(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return "Nothing was measured."
    return markdown_table(rows)


def escape(text: str) -> str:
    """Plain text as Markdown, in which nothing of it has a meaning."""
    text = printable(text)
    for character in "\\`*<>[]":
        text = text.replace(character, f"\\{character}")
    return text
