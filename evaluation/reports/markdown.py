"""Comparisons as Markdown: the report's text version, and tables for a README."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from common.errors import printable
from common.tables import code, markdown_table
from evaluation.comparison.summary import Point
from evaluation.comparison.tables import Row, Table, tabulate
from evaluation.reports.figures.figures import Drawing
from evaluation.reports.figures.glance import SUITE, column_of, models_of, rows_at_a_glance
from evaluation.reports.formatting import (
    BEST,
    SINGLE_NOTE,
    TIE_NOTE,
    Format,
    mark_of,
    name_axis,
    name_row,
    name_seeds,
    name_strength,
    name_suite,
    name_table,
    verdict,
)
from evaluation.reports.methodology import GUIDE
from evaluation.results.pack import read_records

_FLAG = "!"


def summarise_headlines(
    folder: pathlib.Path, suites: Sequence[str] = (), metrics: Sequence[str] = ()
) -> str:
    """The headlines of records below a folder, for a README.

    Args:
        folder: See `evaluation.results.pack.read_records`.
        suites: Whose rows are wanted, all by default. What is significant is decided suite by
            suite, so that it does not depend on this.
        metrics: Which of these rows are wanted, all by default.

    Returns:
        For each table a title, and rows of conditions with a column for each model.
    """
    tables = [
        dataclasses.replace(
            table,
            rows=tuple(
                row
                for row in table.rows
                if (not suites or row.suite in suites)
                and (not metrics or row.metric.name in metrics)
            ),
        )
        for table in tabulate(read_records(folder))
    ]
    parts = []
    for table in tables:
        parts += [title(table), headlines(table)]
    return "\n\n".join(parts)


def title(table: Table) -> str:
    """Title of a table, and the flags of all of it, for a README."""
    flags = "\n".join(f"- {_escape(flag)}" for flag in table.flags)
    return "\n\n".join([f"**{_escape(name_table(table))}**", *([flags] if flags else [])])


def summarise_shifts(folder: pathlib.Path) -> str:
    """The few numbers of each model that say what shifts do to it, for a README.

    Args:
        folder: See `evaluation.results.pack.read_records`.
    """
    tables = tabulate(read_records(folder))
    return "\n\n".join(
        f"**{_escape(name_table(table))}**\n\n{_glance(rows)}"
        for table in tables
        if (rows := rows_at_a_glance(table.rows))
    )


def headlines(table: Table) -> str:
    """A row for each condition, a column for each model, winners in bold; notes below."""
    compared = any(row.contests for row in table.rows)
    rows = [
        {
            "condition": _escape(name_row(row)),
            **({BEST: _escape(verdict(row))} if compared else {}),
            **{code(model): _cell(row, model) for model in table.models},
        }
        for row in table.rows
    ]
    notes = []
    if any(len(row.leaders()) > 1 for row in table.rows):
        notes.append(TIE_NOTE)
    if not all(row.is_of_trainings for row in table.rows):
        notes.append(SINGLE_NOTE)
    found = [each for row in table.rows for each in row.headlines.values()]
    if flags := dict.fromkeys(flag for each in found for flag in each.flags):
        notes.append(f"{_FLAG} marks numbers with flags: {_escape('; '.join(flags))}.")
    return "\n\n".join([_table(rows), *notes])


def overview(table: Table) -> str:
    """The headlines of what models share."""
    return headlines(dataclasses.replace(table, rows=table.overview))


def curve(row: Row) -> str:
    """A line for each strength of a row and one for its headlines, for a README."""
    show = Format(row)
    lines = _lines(
        row, lambda at: f"{_escape(show.number(at.value))} ({show.interval(at.interval)})"
    )
    mean = {code(model): _cell(row, model) for model in row.headlines}
    return _table([*lines, {_strength(row): "mean", **mean}])


def report(tables: Sequence[Table], drawings: Sequence[Sequence[Drawing]]) -> str:
    """The whole report.

    Args:
        tables: What to compare.
        drawings: The figures of each table; they lie in `figures/`.
    """
    parts = ["# Comparison of models", *GUIDE]
    for table, figures in zip(tables, drawings, strict=True):
        parts += [f"## {_escape(name_table(table))}"]
        parts += [f"- {_escape(flag)}" for flag in table.flags]
        parts.append(overview(table))
        for suite in dict.fromkeys(row.suite for row in table.rows):
            parts.append(f"### {_escape(name_suite(suite))}")
            parts += [
                f"![{_escape(drawing.caption)}](figures/{drawing.name}.png)"
                for drawing in figures
                if drawing.suite == suite
            ]
            if suite == SUITE and (rows := rows_at_a_glance(table.rows)):
                parts.append(_glance(rows))
            parts += [_details(row) for row in table.rows if row.suite == suite]
        parts += ["### Facts", _facts(table)]
    return "\n\n".join(parts) + "\n"


def _glance(rows: Sequence[Row]) -> str:
    """A line for each model, a column for each row; a note below."""
    table = _table(
        [
            {"model": code(model), **{_escape(column_of(row)): _cell(row, model) for row in rows}}
            for model in models_of(rows)
        ]
    )
    tied = any(len(row.leaders()) > 1 for row in rows)
    return "\n\n".join([table, TIE_NOTE] if tied else [table])


def _cell(row: Row, model: str) -> str:
    found = row.headlines.get(model)
    if found is None:
        return "-"
    show = Format(row)
    value, interval = _escape(show.number(found.value)), show.interval(found.interval)
    shown = f"{value} ({interval})" if interval else value
    shown = f"**{shown}**" if row.winner() == model else f"{shown} {mark_of(row, model)}".rstrip()
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
                "value": _escape(show.number(found.value)),
                "95 % interval": show.interval(found.interval),
                "method": _escape(found.method),
                "sd over seeds": _escape(show.number(over_seeds.deviation)) if over_seeds else "",
                "t interval over seeds": show.interval(over_seeds.interval) if over_seeds else "",
                "images": f"{found.count:,}",
                "flags": _escape("; ".join(found.flags)),
            }
        )
    parts = [f"{_escape(name_row(row))}:", _table(rows)]
    return "\n\n".join([*parts, _curve(row)] if row.is_curve else parts)


def _curve(row: Row) -> str:
    show = Format(row)
    return _table(_lines(row, lambda at: _escape(show.number(at.value))))


def _lines(row: Row, cell: Callable[[Point], str]) -> list[dict[str, str]]:
    """A line for each strength, a cell for each model."""
    points = next(iter(row.headlines.values())).points
    return [
        {
            _strength(row): _escape(name_strength(point.strength, row)),
            **{code(model): cell(found.points[k]) for model, found in row.headlines.items()},
        }
        for k, point in enumerate(points)
    ]


def _strength(row: Row) -> str:
    return _escape(name_axis(row))


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
                "weights": _escape(of.weights[:12]),
                "data": _escape(of.data[:12]),
                "device": _escape(str(of.environment.get("device", ""))),
            }
            for run, of in trainings.items()
        ]
    )


def _table(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return "Nothing was measured."
    return markdown_table(rows)


def _escape(text: str) -> str:
    text = printable(text)
    for character in "\\`*<>[]":
        text = text.replace(character, f"\\{character}")
    return text
