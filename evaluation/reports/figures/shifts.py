"""Pictures of what shifts do: maps of right and wrong, and accuracy against consistency."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from evaluation.comparison.rows import Row
from evaluation.reports.figures.style import WIDTH, Style, canvas, grid, legend, legend_height

_WRONG = "#d55e00"


def draw_shift_maps(found: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """A line of maps for each model: the share of wrong predictions at each shift.

    Args:
        found: By model and label, `[2 reach + 1, 2 reach + 1]` accuracies (see
            `evaluation.results.artifacts.ShiftMap`).
    """
    names = list(dict.fromkeys(name for maps in found.values() for name in maps))
    panel = WIDTH / len(names)
    figure, axes = canvas(
        len(found) * (panel + 0.1) + 0.7,
        nrows=len(found),
        ncols=len(names),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for line, (model, maps) in zip(axes, found.items(), strict=True):
        # A name may be wider than a map, and must not push the next one aside.
        line[0].set_title(" ")
        line[0].text(0.0, 1.05, model, transform=line[0].transAxes).set_in_layout(False)
        for axis, name in zip(line, names, strict=True):
            if name in maps:
                _draw_map(axis, maps[name])
    for axis, name in zip(axes[-1], names, strict=True):
        axis.set_xlabel(name.replace(", ", ",\n"), fontsize=8)
    figure.supxlabel("Shift along x, pixels", fontsize=9.5)
    figure.supylabel("Shift along y, pixels", fontsize=9.5)
    return figure


def _draw_map(axis, right: np.ndarray) -> None:
    reach = len(right) // 2
    # Colour over nothing rather than over white suits a dark page too.
    colours = np.empty((*right.shape, 4))
    colours[..., :3], colours[..., 3] = to_rgb(_WRONG), 1.0 - right
    edge = reach + 0.5
    axis.imshow(colours, interpolation="nearest", extent=(-edge, edge, edge, -edge))
    axis.set(xticks=(-reach, 0, reach), yticks=(-reach, 0, reach))
    axis.tick_params(labelsize=7, length=2)
    axis.spines[:].set_visible(True)


def consistencies(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of consistency, each with the row of clean accuracy; for two models at least."""
    clean = [row for row in rows if (row.suite, row.metric.name) == ("clean", "accuracy")]
    return [
        (row, accuracy)
        for row in rows
        if (row.suite, row.metric.name) == ("small_shifts", "consistency")
        for accuracy in clean
        if len(row.headlines.keys() & accuracy.headlines.keys()) > 1
    ]


def draw_consistency(consistency: Row, accuracy: Row, styles: Mapping[str, Style]) -> Figure:
    """Accuracy over consistency with the intervals of both, a mark for each model."""
    models = [model for model in consistency.headlines if model in accuracy.headlines]
    figure, axes = canvas(3.4 + legend_height(models))
    for model in models:
        across, up = consistency.headlines[model], accuracy.headlines[model]
        axes.errorbar(
            100.0 * across.value,
            100.0 * up.value,
            xerr=100.0 * np.array([across.reach]).T,
            yerr=100.0 * np.array([up.reach]).T,
            color=styles[model].colour,
            marker=styles[model].marker,
            linestyle="none",
            markersize=5,
            capsize=1.5,
            linewidth=1.0,
            label=model,
        )
    axes.set(xlabel="Consistency, %", ylabel="Accuracy on clean images, %")
    grid(axes, "both")
    legend(figure, axes)
    return figure
