"""A picture of where objects sit in the images of each class, how large and how oriented."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.comparison.tables import Row
from evaluation.metrics.moments import read_card
from evaluation.reports.figures.style import canvas, grid, legend, legend_height, styles_of

_TITLES = {
    "x": "Place, pixels to the right",
    "y": "Place, pixels down",
    "width": "Width, pixels",
    "height": "Height, pixels",
    "angle": "Longer axis, degrees clockwise",
}


def card(row: Row) -> dict[str, dict[str, np.ndarray]]:
    """`[classes, 2]` means and deviations by property and split; they are of no model."""
    found = (read_card(each.details) for each in row.headlines.values())
    return next((each for each in found if each), {})


def draw_card(row: Row) -> Figure:
    """A panel for each property: mean and standard deviation of each class, split by split."""
    found = card(row)
    splits = list(dict.fromkeys(split for by_split in found.values() for split in by_split))
    styles = styles_of(splits)
    lines = -(-len(found) // 2)
    figure, axes = canvas(
        1.6 * lines + legend_height(splits) + 0.2, nrows=lines, ncols=2, squeeze=False
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    offsets = dict(zip(splits, 0.2 * (np.arange(len(splits)) - (len(splits) - 1) / 2), strict=True))
    for axis, (name, by_split) in zip(axes.flat, found.items(), strict=False):
        for split, table in by_split.items():
            axis.errorbar(
                np.arange(len(table)) + offsets[split],
                table[:, 0],
                yerr=table[:, 1],
                color=styles[split].colour,
                marker=styles[split].marker,
                linestyle="none",
                markersize=3,
                linewidth=1.0,
                label=split,
            )
        axis.set_title(_TITLES.get(name, name))
        axis.xaxis.set_major_locator(MaxNLocator(11, integer=True))
        axis.tick_params(labelsize=7)
        grid(axis, "y")
    figure.supxlabel("Class", fontsize=9.5)
    legend(figure, axes.flat[0])
    return figure
