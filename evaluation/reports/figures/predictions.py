"""Figures of predictions: confusion matrices and reliability diagrams."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from evaluation.reports.figures.style import INK, WIDTH, Style, canvas, grid, legend, legend_height
from evaluation.results.artifacts import ReliabilityDiagram

_COLUMNS = 3
_MIN_IMAGES = 10  # of a bin of confidence that is drawn
_MISTAKE = "#d55e00"
_MAX_NAME = 12  # letters of a class's name on an axis


def draw_confusions(matrices: Mapping[str, np.ndarray], class_names: Sequence[str] = ()) -> Figure:
    """The share of each label's images that got each wrong prediction, one panel for each model.

    Args:
        matrices: `[labels, predictions]` counts by model.
        class_names: In the order of the labels; none for numbers.
    """
    shares = {name: _mistakes(counts) for name, counts in matrices.items()}
    most = max(float(share.max()) for share in shares.values()) or 1.0
    rows = -(-len(shares) // _COLUMNS)
    panel = WIDTH / _COLUMNS
    figure, axes = canvas(rows * (panel + 0.2) + 0.4, nrows=rows, ncols=_COLUMNS, squeeze=False)
    for axis in axes.flat[len(shares) :]:
        axis.set_visible(False)
    for axis, (name, share) in zip(axes.flat, shares.items(), strict=False):
        # Colour over nothing rather than over white suits a dark page too. Its root shows the rare.
        colours = np.empty((*share.shape, 4))
        colours[..., :3], colours[..., 3] = to_rgb(_MISTAKE), np.sqrt(share / most)
        axis.imshow(colours, interpolation="nearest")
        axis.set_title(name)
        every = max(1, len(share) // 10)
        axis.set(xticks=range(0, len(share), every), yticks=range(0, len(share), every))
        if len(class_names) == len(share):
            short = [_short(str(class_name)) for class_name in class_names[::every]]
            axis.set_xticklabels(short, rotation=90)
            axis.set_yticklabels(short)
        axis.tick_params(labelsize=7, length=0)
        axis.spines[:].set_visible(True)
    caption = (
        f"Prediction; full colour: {100 * most:.2g} % of a label's images, half: a quarter of that"
    )
    figure.supxlabel(caption, fontsize=9.5)
    figure.supylabel("Label", fontsize=9.5)
    return figure


def _short(name: str) -> str:
    """A class's name that fits beside a panel; a dollar sign would begin a formula."""
    cut = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    return cut.replace("$", r"\$")


def _mistakes(counts: np.ndarray) -> np.ndarray:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares * (1 - np.eye(len(counts)))


def draw_reliability(
    diagrams: Mapping[str, ReliabilityDiagram], styles: Mapping[str, Style]
) -> Figure:
    """Accuracy over confidence, in bins of enough images to mean something.

    Args:
        diagrams: By model.
        styles: Of these models.
    """
    figure, axes = canvas(3.6 + legend_height(list(diagrams)))
    for name, each in diagrams.items():
        style, shown = styles[name], each.images >= _MIN_IMAGES
        axes.plot(
            100.0 * each.confidence[shown],
            100.0 * each.accuracy[shown],
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=4,
            linewidth=1.4,
            label=name,
        )
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(xlabel="Confidence, %", ylabel="Accuracy, %", xlim=(0, 102), ylim=(0, 102))
    grid(axes, "both")
    legend(figure, axes)
    return figure
