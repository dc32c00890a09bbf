"""Figures of curves: values over strength, and below them the differences that were stated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from evaluation.comparison.rows import Row
from evaluation.reports.figures.differences import Differences
from evaluation.reports.figures.style import INK, Style, canvas, grid, legend, legend_height
from evaluation.reports.formatting import label_value, name_axis, scale_of, sentence

# Of the room between two strengths, that whiskers of several contrasts lie apart in.
_SPREAD = 0.5


def draw_curves(
    row: Row, styles: Mapping[str, Style], contrasts: Sequence[Differences] = ()
) -> Figure:
    """Values over strength; with contrasts, a second panel of differences and their intervals.

    Args:
        row: A curve.
        styles: Of its models.
        contrasts: Along it. Without any, the curves have whiskers of their own.
    """
    panels = 2 if contrasts else 1
    height = 2.6 * panels + 0.5 + legend_height(list(row.headlines))
    figure, axes = canvas(height, nrows=panels, sharex=True, squeeze=False)
    top, bottom = axes[0, 0], axes[-1, 0]
    _draw_values(top, row, styles, whiskers=not contrasts)
    if contrasts:
        _draw_differences(bottom, row, styles, contrasts)
    _set_strengths(bottom, row)
    legend(figure, top)
    return figure


def _draw_values(axes: Any, row: Row, styles: Mapping[str, Style], *, whiskers: bool) -> None:
    scale = scale_of(row)
    for model, found in row.headlines.items():
        style, strengths = styles[model], _strengths(row)
        values = scale * np.array([point.value for point in found.points])
        ends = [point.interval or (point.value, point.value) for point in found.points]
        if whiskers:
            low, high = scale * np.array(ends).T
            axes.vlines(strengths, low, high, color=style.colour, linewidth=0.8, alpha=0.6)
        axes.plot(
            strengths,
            values,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=3,
            linewidth=0.9,
            label=model,
        )
    if row.chance is not None:
        line = {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 2))}
        axes.axhline(scale * row.chance, label="chance", **line)
    axes.set_ylabel(label_value(row))
    grid(axes, "y")


def _draw_differences(
    axes: Any, row: Row, styles: Mapping[str, Style], contrasts: Sequence[Differences]
) -> None:
    scale = scale_of(row)
    for number, contrast in enumerate(contrasts):
        style = styles[contrast.first]
        places = _beside(_strengths(row), number, len(contrasts), row)
        axes.plot(
            places,
            scale * contrast.values,
            color=style.colour,
            marker=style.marker,
            linestyle="none",
            markersize=3,
        )
        if contrast.intervals is not None:
            low, high = scale * contrast.intervals.T
            axes.vlines(places, low, high, color=style.colour, linewidth=0.9)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    controls = list(dict.fromkeys(contrast.second for contrast in contrasts))
    unit = "points" if row.metric.is_rate else row.metric.unit
    label = f"Minus {controls[0]}" if len(controls) == 1 else "First minus second"
    axes.set_ylabel(", ".join(filter(None, (label, unit))))
    grid(axes, "y")


def _strengths(row: Row) -> np.ndarray:
    points = next(iter(row.headlines.values())).points
    return np.array([point.strength for point in points], float)


def _beside(strengths: np.ndarray, number: int, count: int, row: Row) -> np.ndarray:
    """Places of one contrast's whiskers beside those of the others."""
    share = _SPREAD * ((number + 0.5) / count - 0.5)
    if row.axis is not None and row.axis.log:
        return strengths * (np.min(strengths[1:] / strengths[:-1]) ** share)
    return strengths + share * float(np.min(np.abs(np.diff(strengths))))


def _set_strengths(axes: Any, row: Row) -> None:
    if row.axis is not None and row.axis.log:
        axes.set_xscale("log")
    if row.axis is not None and row.axis.unit == "degrees" and np.ptp(axes.get_xlim()) >= 180:
        axes.xaxis.set_major_locator(MultipleLocator(45))
    axes.set_xlabel(sentence(name_axis(row)))
