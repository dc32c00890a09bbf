"""A picture of where objects sit in the images of each class, how large and how oriented."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.reports.figures.style import canvas, grid, legend, legend_height, styles_of
from evaluation.results.artifacts import ObjectStatistics

_TITLES = {
    "x": "Place, pixels to the right",
    "y": "Place, pixels down",
    "width": "Width, pixels",
    "height": "Height, pixels",
    "angle": "Longer axis, degrees clockwise",
}


def draw(of_splits: Sequence[ObjectStatistics]) -> Figure:
    """A panel for each property: mean and standard deviation of each class, split by split."""
    splits, names = [each.label for each in of_splits], ObjectStatistics.names()
    styles = styles_of(splits)
    lines = -(-len(names) // 2)
    figure, axes = canvas(
        1.6 * lines + legend_height(splits) + 0.2, nrows=lines, ncols=2, squeeze=False
    )
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    offsets = dict(zip(splits, 0.2 * (np.arange(len(splits)) - (len(splits) - 1) / 2), strict=True))
    for axis, name in zip(axes.flat, names, strict=False):
        for split, each in zip(splits, of_splits, strict=True):
            table = getattr(each, name)
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
        axis.set_title(_TITLES[name])
        axis.xaxis.set_major_locator(MaxNLocator(11, integer=True))
        axis.tick_params(labelsize=7)
        grid(axis, "y")
    figure.supxlabel("Class", fontsize=9.5)
    legend(figure, axes.flat[0])
    return figure
