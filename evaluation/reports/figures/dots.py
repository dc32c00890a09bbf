"""Figures of dots: values of conditions without strengths, with every training behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.comparison.rows import Row
from evaluation.comparison.summary import Headline
from evaluation.reports.figures import glance
from evaluation.reports.figures.style import INK, Style, canvas, grid, legend, legend_height
from evaluation.reports.formatting import label_value, scale_of

Styles = Mapping[str, Style]


def draw_dots(rows: Sequence[Row], styles: Styles) -> Figure:
    """Values with intervals side by side: conditions, and within each its models.

    Args:
        rows: Of one suite and metric.
        styles: Of their models.
    """
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
        _draw_trainings(axes, found, np.array(places) + offset, scale, style)
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


def _draw_trainings(
    axes: Any, found: Sequence[Headline], places: np.ndarray, scale: float, style: Style
) -> None:
    """A small dot for each training, if there are several."""
    dots = [
        (scale * value, place)
        for each, place in zip(found, places, strict=True)
        for value in each.by_seed
        if len(each.by_seed) > 1
    ]
    if dots:
        x, y = np.array(dots).T
        axes.plot(x, y, ".", color=style.colour, markersize=5, alpha=0.6, zorder=3)
