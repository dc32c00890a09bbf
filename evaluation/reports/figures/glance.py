"""What shifts do to models at a glance: four numbers of each, for one table and one figure.

Accuracy on clean images, consistency and jaggedness under shifts, and how much the last
layer's sums depend on the phase of a shift. None of them says much without the others: a model that
always says the same is perfectly consistent.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.comparison.rows import Row
from evaluation.reports.figures.style import Style, canvas, grid
from evaluation.reports.formatting import label_value, scale_of

SUITE = "small_shifts"
"""Whose section shows them."""
_NUMBERS = (
    ("clean", "", "accuracy"),
    (SUITE, "realistic shifts", "consistency"),
    (SUITE, "realistic shift along x", "jaggedness"),
    ("layer_equivariance", "last layer", "shiftability error"),
)
_COLUMNS = 2
# Characters that fit below a panel beside long names of models.
_LABEL = 22


def rows_at_a_glance(rows: Sequence[Row]) -> list[Row]:
    """Those of the four numbers that were measured; none without any of shifts."""
    found = {(row.suite, row.condition, row.metric.name): row for row in rows}
    chosen = [found[key] for key in _NUMBERS if key in found]
    return chosen if any(row.suite == SUITE for row in chosen) else []


def models_of(rows: Sequence[Row]) -> list[str]:
    """All models that any of the rows has."""
    return list(dict.fromkeys(model for row in rows for model in row.headlines))


def column_of(row: Row) -> str:
    """Metric and condition of a number, without the suite."""
    return ", ".join(filter(None, (row.metric.name, row.condition)))


def draw_at_a_glance(rows: Sequence[Row], styles: Mapping[str, Style]) -> Figure:
    """A panel for each number: the values of all models with their intervals."""
    models = models_of(rows)
    lines = -(-len(rows) // _COLUMNS)
    height = lines * (0.9 + 0.22 * len(models))
    figure, axes = canvas(height, nrows=lines, ncols=_COLUMNS, sharey=True, squeeze=False)
    for axis in axes.flat[len(rows) :]:
        axis.set_visible(False)
    for axis, row in zip(axes.flat, rows, strict=False):
        scale = scale_of(row)
        for place, model in enumerate(models):
            found = row.headlines.get(model)
            if found is None:
                continue
            axis.errorbar(
                scale * found.value,
                place,
                xerr=scale * np.array([found.reach]).T,
                color=styles[model].colour,
                marker=styles[model].marker,
                markersize=4.5,
                capsize=1.5,
                linewidth=1.2,
            )
        axis.set_title(row.condition or "clean images")
        axis.set_xlabel(textwrap.fill(label_value(row), _LABEL))
        axis.set_yticks(range(len(models)), models)
        axis.set_ylim(len(models) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        grid(axis, "x")
    return figure
