"""How figures look, and how they are saved.

Each model keeps one colour, marker and line style throughout a report. The colours are those of
Okabe and Ito (2008), which people with any kind of colour vision tell apart; markers and lines do
without colour. An SVG has no background and follows a reader's choice of a dark page.
"""

import io
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from common.errors import printable
from common.files import write_text

WIDTH = 5.6
"""Inches; text stays legible when a phone shows it at two thirds."""
INK = "#1c1e26"
"""Of text and axes."""
_DARK_INK = "#e6e7ec"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8d91")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
SETTINGS: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "report",  # names inside an SVG are the same every time
}
"""For matplotlib, while a figure is made and saved."""
_DARK_STYLE = (
    "<style>@media (prefers-color-scheme: dark) {"
    f'[style*="fill: {INK}"] {{ fill: {_DARK_INK} !important }}'
    f'[style*="stroke: {INK}"] {{ stroke: {_DARK_INK} !important }}'
    "}</style>"
)


class Style(NamedTuple):
    """Colour, marker and line of a model."""

    colour: str
    marker: str
    line: Any


def styles_of(models: Sequence[str]) -> dict[str, Style]:
    """Colour, marker and line for each model; all three repeat, at different lengths."""
    return {
        model: Style(
            _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)], _LINES[k % len(_LINES)]
        )
        for k, model in enumerate(models)
    }


def canvas(height: float, **panels: Any) -> tuple[Figure, Any]:
    """A figure of the common width and its axes.

    Args:
        height: In inches.
        panels: As `matplotlib.figure.Figure.subplots` takes them.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(**panels)


def grid(axes: Any, axis: str) -> None:
    """Faint lines across one axis of a plot."""
    axes.grid(axis=axis, color=INK, alpha=0.12, linewidth=0.6)


def legend(figure: Figure, axes: Any) -> None:
    """Names below a plot."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, handlelength=3.2)


def legend_height(models: Sequence[str]) -> float:
    """Inches that a legend takes."""
    return 0.2 * -(-len(models) // 2)


def save(figure: Figure, path: pathlib.Path) -> str:
    """Writes PATH.png and PATH.svg; returns the SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _take_literally(figure)
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # Of a name in a script that the font lacks: there are boxes in its place.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=150, facecolor="white")
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    source = buffer.getvalue()
    opening, rest = source[source.index("<svg") :].split(">", 1)
    svg = f"{opening}>{_DARK_STYLE}{rest}"
    write_text(path.with_name(f"{path.name}.svg"), svg)
    return svg


def _take_literally(figure: Figure) -> None:
    """Keeps names of models and conditions from being read as formulas, or as anything but text."""
    axes = [axis for each in figure.axes for axis in (each.xaxis, each.yaxis)]
    # Matplotlib writes powers of ten as formulas.
    powers = {
        text
        for axis in axes
        if axis.get_scale() == "log"
        for text in axis.get_ticklabels(which="both")
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text not in powers:
            text.set_parse_math(False)
            lines = text.get_text().split("\n")
            if not all(map(str.isprintable, lines)):
                text.set_text("\n".join(map(printable, lines)))
