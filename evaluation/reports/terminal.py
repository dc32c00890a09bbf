"""A comparison on a terminal: what came out, a dozen rows at most, and where the rest is."""

import textwrap
from collections.abc import Sequence

from common.errors import printable
from evaluation.comparison.rows import Row
from evaluation.comparison.tables import Table
from evaluation.metrics.classification import ACCURACIES, BALANCED_ACCURACY
from evaluation.reports import verdicts
from evaluation.reports.formatting import Format, cut, name_briefly, name_table, unit_of

WIDTH = 100
"""Characters of a line."""
MAX_ROWS = 12
_BETWEEN = 2  # blanks between columns
_MIN_CONDITION = 20
_MAX_CONDITION = 40
_MAX_MODEL = 30
_MIN_HEADER = 16


def show(table: Table, has_report: bool) -> str:
    """A table as text.

    Args:
        table: What to show.
        has_report: True if there is a report with everything.

    Returns:
        Title, verdicts, a table of at most `MAX_ROWS` rows and `WIDTH` columns, and how much more
        there is.
    """
    rows = headline_rows(table)
    lines, shown = _lines(rows, table.models)
    paragraph = printable(verdicts.summarise(table))
    parts = [printable(name_table(table)), *textwrap.wrap(paragraph, WIDTH)]
    left = len(table.rows) - shown
    where = "in the report" if has_report else "with --out=FOLDER, in a report"
    more = [f"{left} more row{'s' if left > 1 else ''} {where}"] if left else []
    return "\n".join([*parts, "", *lines, *more])


def headline_rows(table: Table) -> list[Row]:
    """Accuracy on clean images, then one row of each suite: of its accuracy if it has one.

    Where it was measured, balanced accuracy on clean images comes second.

    Args:
        table: Its rows that compare nothing, for no side is better, are left out.
    """
    of_suites: dict[str, list[Row]] = {}
    for row in table.overview:
        if row.metric.higher_is_better is not None:
            of_suites.setdefault(row.suite, []).append(row)
    chosen = [max(rows, key=_weight) for rows in of_suites.values()]
    chosen += [row for row in of_suites.get("clean", []) if row.metric == BALANCED_ACCURACY]
    return sorted(chosen, key=lambda row: row.suite != "clean")[:MAX_ROWS]


def _weight(row: Row) -> tuple[bool, bool]:
    """Accuracies before others, and these before rows in which all models are the same."""
    values = {headline.value for headline in row.headlines.values()}
    return row.metric.name in ACCURACIES, len(values) > 1


def _lines(rows: Sequence[Row], models: Sequence[str]) -> tuple[list[str], int]:
    """The lines of a table and how many rows it has: a column for each model, or for each row."""
    if not rows:
        return [
            "There is nothing to compare." if len(models) > 1 else "There is nothing to show."
        ], 0
    for fewer in (0, 1):
        cells = [[_cell(row, model, fewer) for model in models] for row in rows]
        width = max(len(cell) for line in cells for cell in line)
        room = WIDTH - len(models) * (width + _BETWEEN)
        if room >= _MIN_CONDITION:
            return _by_row(rows, models, cells, width)
    return _by_model(rows, models, cells, width)


def _by_row(
    rows: Sequence[Row], models: Sequence[str], cells: Sequence[Sequence[str]], width: int
) -> tuple[list[str], int]:
    """A line for each row, a column for each model."""
    room = WIDTH - len(models) * (width + _BETWEEN)
    first = min(room, _MAX_CONDITION, max(len(_condition(row, WIDTH)) for row in rows))
    width = min(max(width, *map(len, models)), (WIDTH - first) // len(models) - _BETWEEN)
    header = ["", *names_in(models, width)]
    body = [[_condition(row, first), *line] for row, line in zip(rows, cells, strict=True)]
    return _aligned([header, *body], [first, *[width] * len(models)]), len(rows)


def _by_model(
    rows: Sequence[Row], models: Sequence[str], cells: Sequence[Sequence[str]], width: int
) -> tuple[list[str], int]:
    """A line for each model; as many rows as there is room for become columns."""
    first = min(_MAX_MODEL, max(map(len, models)))
    width = max(width, _MIN_HEADER)
    fit = min((WIDTH - first) // (width + _BETWEEN), len(rows))
    header = ["", *names_in([name_briefly(row) for row in rows[:fit]], width)]
    units = ["", *(cut(unit_of(row.metric), width) for row in rows[:fit])]
    names = names_in(models, first)[:MAX_ROWS]
    body = [[name, *(cells[k][number] for k in range(fit))] for number, name in enumerate(names)]
    lines = _aligned([header, units, *body], [first, *[width] * fit])
    left = len(models) - len(names)
    return [*lines, *([f"and {left} more models"] if left else [])], fit


def names_in(names: Sequence[str], width: int) -> list[str]:
    """Names of at most so many characters that differ: with a number in front if they must.

    Args:
        names: What they share up to the last colon is left out of names that are too long.
        width: Of a column.
    """
    printed = [printable(name) for name in names]
    # Not a colon of what was changed of a configuration, as in train[:1000].
    family = f"{printed[0].partition(' (')[0].rpartition(':')[0]}:"
    if max(map(len, printed)) > width and all(name.startswith(family) for name in printed):
        printed = [name.removeprefix(family) for name in printed]
    short = [cut(name, width) for name in printed]
    if len(set(short)) == len(set(names)):
        return short
    numbers = [f"{number} " for number in range(1, len(names) + 1)]
    return [f"{k}{cut(name, width - len(k))}" for k, name in zip(numbers, printed, strict=True)]


def _condition(row: Row, width: int) -> str:
    """Name and unit of a row; what does not fit is left out of the name."""
    unit = f", {unit_of(row.metric)}" if unit_of(row.metric) else ""
    return f"{cut(printable(name_briefly(row)), width - len(unit))}{unit}"


def _cell(row: Row, model: str, fewer: int) -> str:
    found = row.headlines.get(model)
    return "-" if found is None else Format(row).compact(found.value, found.interval, fewer)


def _aligned(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """The first column to the left, numbers to the right."""
    gap = " " * _BETWEEN
    return [
        gap.join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for line in lines
    ]
