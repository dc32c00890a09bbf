"""Figures of a comparison: curves with bands, dots with intervals, and figures of predictions."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from evaluation.comparison.tables import Row, Table
from evaluation.reports.figures import glance, shifts
from evaluation.reports.figures.artifacts import figures_of
from evaluation.reports.figures.style import (
    INK,
    SETTINGS,
    Style,
    canvas,
    grid,
    legend,
    legend_height,
    save,
)
from evaluation.reports.formatting import (
    label_value,
    name_axis,
    name_condition,
    name_suite,
    scale_of,
    sentence,
)

Styles = Mapping[str, Style]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A finished figure, which also lies on disk as NAME.png and NAME.svg.

    Attributes:
        suite: What it is about.
        name: Of its files.
        caption: What it shows, for those who see it and for those who do not.
        svg: Its source.
    """

    suite: str
    name: str
    caption: str
    svg: str


def draw_table(table: Table, styles: Styles, folder: pathlib.Path) -> list[Drawing]:
    """All figures of a table.

    Args:
        table: What to draw.
        styles: Of at least its models.
        folder: For the files.
    """
    drawings = []
    for suite, caption, draw in _plan(table, styles):
        name = _slug(f"{table.dataset} {table.checkpoint} {len(drawings)} {caption}")
        with mpl.rc_context(SETTINGS):
            drawings.append(Drawing(suite, name, caption, save(draw(), folder / name)))
    return drawings


def _plan(table: Table, styles: Styles) -> list[tuple[str, str, Callable[[], Figure]]]:
    """Suite and caption of each figure, and how to draw it."""
    plan = []
    for rows in _in_one_picture(table):
        row = rows[0]
        title = f"{name_condition(row)}: {row.metric.name}"
        if row.is_curve:
            caption = f"{title} over {name_axis(row)}, with 95 % intervals"
            plan.append((row.suite, caption, lambda row=row: draw_curves(row, styles)))
        else:
            title = f"{name_suite(row.suite)}: {row.metric.name}" if len(rows) > 1 else title
            caption = f"{title}, with 95 % intervals"
            plan.append((row.suite, caption, lambda rows=rows: draw_dots(rows, styles)))
    plan += [
        (row.suite, figure.caption, figure.draw)
        for row in table.rows
        for figure in figures_of(row, styles)
    ]
    if rows := glance.rows_at_a_glance(table.rows):
        caption = f"{name_suite(glance.SUITE)} at a glance, with 95 % intervals"
        plan.append((glance.SUITE, caption, lambda: glance.draw_at_a_glance(rows, styles)))
    for row, accuracy in shifts.consistencies(table.rows):
        caption = f"{name_condition(row)}: accuracy against consistency, with 95 % intervals"
        plan.append(
            (
                row.suite,
                caption,
                lambda row=row, accuracy=accuracy: shifts.draw_consistency(row, accuracy, styles),
            )
        )
    return plan


def _in_one_picture(table: Table) -> list[list[Row]]:
    """Each curve alone; rows without strengths by suite and metric.

    Single numbers that are no shares, such as costs, are better read in a table.
    """
    groups: dict[tuple, list[Row]] = {}
    for number, row in enumerate(table.rows):
        alone = number if row.is_curve else None
        groups.setdefault((row.suite, row.metric.name, row.metric.unit, alone), []).append(row)
    return [
        rows
        for rows in groups.values()
        if len(rows) > 1 or rows[0].is_curve or rows[0].metric.is_rate
    ]


def draw_curves(row: Row, styles: Styles) -> Figure:
    """Values over strength, with intervals as bands."""
    figure, axes = canvas(3.3 + legend_height(list(row.headlines)))
    scale = scale_of(row)
    for model, found in row.headlines.items():
        style = styles[model]
        strengths = np.array([point.strength for point in found.points], float)
        values = scale * np.array([point.value for point in found.points])
        ends = [point.interval or (point.value, point.value) for point in found.points]
        low, high = scale * np.array(ends).T
        axes.plot(
            strengths,
            values,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=4,
            linewidth=1.4,
            label=model,
        )
        axes.fill_between(strengths, low, high, color=style.colour, alpha=0.18, linewidth=0)
    if row.chance is not None:
        line = {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 2))}
        axes.axhline(scale * row.chance, label="chance", **line)
    if row.axis is not None and row.axis.log:
        axes.set_xscale("log")
    if row.axis is not None and row.axis.unit == "degrees" and np.ptp(axes.get_xlim()) >= 180:
        axes.xaxis.set_major_locator(MultipleLocator(45))
    axes.set(xlabel=sentence(name_axis(row)), ylabel=label_value(row))
    grid(axes, "y")
    legend(figure, axes)
    return figure


def draw_dots(rows: Sequence[Row], styles: Styles) -> Figure:
    """Values with intervals side by side: conditions, and within each its models."""
    models = glance.models_of(rows)
    lone = len(rows) == 1
    step = 1.0 if lone else 0.7 / len(models)
    lines = 0.3 * len(models) if lone else (0.16 + 0.09 * len(models)) * len(rows)
    figure, axes = canvas(0.7 + lines + (0.0 if lone else legend_height(models)))
    scale = scale_of(rows[0])
    offsets = step * (np.arange(len(models)) - (len(models) - 1) / 2)
    for model, offset in zip(models, offsets, strict=True):
        style = styles[model]
        places = [place for place, row in enumerate(rows) if model in row.headlines]
        found = [rows[place].headlines[model] for place in places]
        values = scale * np.array([each.value for each in found])
        axes.errorbar(
            values,
            np.array(places) + offset,
            xerr=scale * np.array([each.reach for each in found]).T,
            color=style.colour,
            marker=style.marker,
            linestyle="none",
            markersize=4.5,
            capsize=1.5,
            linewidth=1.2,
            label=model,
        )
    if lone:
        axes.set_yticks(offsets, models)
        axes.set_ylim(offsets[-1] + 0.6, offsets[0] - 0.6)
    else:
        axes.set_yticks(range(len(rows)), [row.condition or row.distinction for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        for place in range(1, len(rows)):
            axes.axhline(place - 0.5, color=INK, linewidth=0.4, alpha=0.3)
        legend(figure, axes)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(label_value(rows[0]))
    grid(axes, "x")
    return figure


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:80]
