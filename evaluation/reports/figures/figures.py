"""All figures of a comparison: which there are, in their order, and as files."""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

import matplotlib as mpl

from evaluation.comparison.rows import Row
from evaluation.comparison.tables import Table
from evaluation.reports.figures import curves, dots, forest, glance, shifts, trainings
from evaluation.reports.figures.artifacts import Planned, figures_of
from evaluation.reports.figures.differences import differences
from evaluation.reports.figures.style import SETTINGS, Style, save
from evaluation.reports.formatting import name_axis, name_condition, name_suite, sentence
from evaluation.reports.verdicts import pairs_of

Styles = Mapping[str, Style]
TABLE = ""
"""In place of a suite: figures of the table as a whole, which come first."""
VERDICTS = "verdicts"
"""In place of a suite: figures of all verdicts, where the first one has a choice of them."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A finished figure, which also lies on disk as NAME.png and NAME.svg.

    Attributes:
        suite: What it is about; `TABLE` or `VERDICTS` in place of a suite.
        name: Of its files.
        caption: What it shows, for those who see it and for those who do not.
        svg: Its source.
        is_compared: False of a quantity that has no better side.
    """

    suite: str
    name: str
    caption: str
    svg: str
    is_compared: bool = True


def draw_table(table: Table, styles: Styles, folder: pathlib.Path) -> list[Drawing]:
    """All figures of a table.

    Args:
        table: What to draw.
        styles: Of at least its models.
        folder: For the files.
    """
    drawings = []
    for planned in _plan(table, styles):
        title = planned.name or planned.caption
        name = _slug(f"{table.dataset} {table.checkpoint} {len(drawings)} {title}")
        with mpl.rc_context(SETTINGS):
            svg = save(planned.draw(), folder / name)
        drawings.append(Drawing(planned.suite, name, planned.caption, svg, planned.is_compared))
    return drawings


def _plan(table: Table, styles: Styles) -> Iterator[Planned]:
    yield from _of_verdicts(table)
    yield from _of_trainings(table, styles)
    for rows in _in_one_picture(table):
        yield _of_curve(rows[0], table, styles) if rows[0].is_curve else _of_dots(rows, styles)
    yield from figures_of(table.rows, styles)
    yield from _of_shifts(table, styles)


def _of_verdicts(table: Table) -> Iterator[Planned]:
    """The verdicts, or the clearest of them first and then all of each contrast."""
    estimated = [verdict for verdict in table.verdicts if verdict.estimate is not None]
    if not estimated:
        return
    chosen = forest.choose(table.verdicts)
    which = (
        "All verdicts"
        if len(chosen) == len(estimated)
        else f"The clearest {len(chosen)} of {len(estimated)} verdicts"
    )
    caption = (
        f"{which} are shown: a model against its control, with a 95 % interval. The margin of "
        "equivalence is shaded."
    )
    yield Planned(caption, lambda: forest.draw_forest(chosen), TABLE, name="verdicts")
    if len(chosen) == len(estimated):
        return
    for pair in pairs_of(estimated):
        own = [each for each in estimated if (each.first, each.second) == pair]
        caption = f"All verdicts of {pair[0]} against {pair[1]} are shown."
        yield Planned(caption, lambda own=own: forest.draw_forest(own), VERDICTS)


def _of_trainings(table: Table, styles: Styles) -> Iterator[Planned]:
    found = trainings.trainings(table)
    if not found:
        return
    suites = dict.fromkeys(name_suite(row.suite) for row in trainings.distortion_rows(table))
    failed = " Trainings that failed are hollow." if table.failures else ""
    caption = (
        "Each dot is a training: its accuracy on distorted against that on clean images. The "
        f"former is the mean over {', '.join(suites)}, each suite counting alike.{failed}"
    )
    yield Planned(
        caption, lambda: trainings.draw_trainings(found, styles), TABLE, name="every training"
    )


def _of_curve(row: Row, table: Table, styles: Styles) -> Planned:
    contrasts = differences(row, table)
    title = f"{name_condition(dataclasses.replace(row, part=''))}: {row.metric.name}"
    caption = f"{sentence(title)} is shown over {name_axis(row)}"
    if not contrasts:
        caption += ", with 95 % intervals."
    elif all(each.intervals is None for each in contrasts):
        caption += ". The lower panel shows differences from the control, of one training each."
    else:
        caption += ". The lower panel shows differences from the control with 95 % intervals."
    return Planned(
        caption,
        lambda: curves.draw_curves(row, styles, contrasts),
        row.suite,
        row.metric.higher_is_better is not None,
        title,
    )


def _of_dots(rows: Sequence[Row], styles: Styles) -> Planned:
    row = rows[0]
    place = name_suite(row.suite) if len(rows) > 1 else name_condition(row)
    title = f"{place}: {row.metric.name}"
    caption = f"{sentence(title)} is shown with 95 % intervals; small dots are trainings."
    return Planned(
        caption,
        lambda: dots.draw_dots(rows, styles),
        row.suite,
        row.metric.higher_is_better is not None,
        title,
    )


def _of_shifts(table: Table, styles: Styles) -> Iterator[Planned]:
    if rows := glance.rows_at_a_glance(table.rows):
        title = f"{name_suite(glance.SUITE)} at a glance"
        yield Planned(
            f"{sentence(title)}: four numbers of each model are shown with 95 % intervals.",
            lambda: glance.draw_at_a_glance(rows, styles),
            glance.SUITE,
            name=title,
        )
    for row, accuracy in shifts.consistencies(table.rows):
        title = f"{name_condition(row)}: accuracy against consistency"
        yield Planned(
            f"{sentence(title)} is shown with 95 % intervals.",
            lambda row=row, accuracy=accuracy: shifts.draw_consistency(row, accuracy, styles),
            row.suite,
            name=title,
        )


def _in_one_picture(table: Table) -> list[list[Row]]:
    """Each curve alone; rows without strengths by suite and metric.

    Single numbers that are no shares, such as costs, are better read in a table.
    """
    groups: dict[tuple, list[Row]] = {}
    for number, row in enumerate(table.rows):
        if row.is_curve and not row.leads:
            continue
        alone = number if row.is_curve else None
        groups.setdefault((row.suite, row.metric.name, row.metric.unit, alone), []).append(row)
    return [
        rows
        for rows in groups.values()
        if len(rows) > 1 or rows[0].is_curve or rows[0].metric.is_rate
    ]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:80]
