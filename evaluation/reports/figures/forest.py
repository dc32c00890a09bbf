"""Forest plots of verdicts: an estimate with its 95 % interval on a line of its own.

Ratios share a logarithmic axis, differences have one for each unit. Right is better: where lower
values are better, ratios are inverted and differences change their sign.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from evaluation.comparison.contrasts import Outcome, Verdict
from evaluation.reports.figures.style import INK, canvas, grid
from evaluation.reports.formatting import cut, name_briefly
from evaluation.reports.verdicts import by_clarity, gap_unit, pairs_of

MAX_LINES = 40
"""Of a figure that can be read at once."""
_LINE = 0.17  # inches
_FONT = 7.0
_LABEL = 48  # characters
# Intervals that reach farther than this times all estimates run out of the figure.
_MAX_REACH = 3.0


class _Look(NamedTuple):
    colour: str
    marker: str
    filled: bool


_LOOKS = {
    Outcome.BETTER: _Look("#009e73", ">", True),
    Outcome.WORSE: _Look("#d55e00", "<", True),
    Outcome.EQUIVALENT: _Look("#0072b2", "s", True),
    Outcome.UNDECIDED: _Look("#8a8d91", "o", False),
    # With an estimate all the same, as long as trainings are missing.
    Outcome.NONE: _Look("#8a8d91", ".", True),
}


def choose(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts with an estimate, or the clearest of each contrast where there are too many."""
    estimated = [verdict for verdict in verdicts if verdict.estimate is not None]
    if len(estimated) <= MAX_LINES:
        return estimated
    pairs = pairs_of(estimated)
    quota = max(MAX_LINES // len(pairs), 1)
    chosen = []
    for pair in pairs:
        own = [each for each in estimated if (each.first, each.second) == pair]
        kept = set(map(id, by_clarity(own)[:quota]))
        chosen += [each for each in own if id(each) in kept]
    return chosen


def draw_forest(verdicts: Sequence[Verdict]) -> Figure:
    """A panel for each scale, within it a group of lines for each contrast.

    Args:
        verdicts: With estimates, at least one.
    """
    panels: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda each: not each.scale.is_ratio):
        panels.setdefault(_axis_of(verdict), []).append(verdict)
    lines = [len(found) + len(pairs_of(found)) for found in panels.values()]
    height = _LINE * sum(lines) + 0.75 * len(panels) + 0.3
    shape: Any = {"height_ratios": lines}
    figure, axes = canvas(height, nrows=len(panels), squeeze=False, gridspec_kw=shape)
    for axis, (label, found) in zip(axes.flat, panels.items(), strict=True):
        _draw_panel(axis, found)
        axis.set_xlabel(label, fontsize=_FONT + 1)
    _legend(figure, verdicts)
    return figure


def _axis_of(verdict: Verdict) -> str:
    if verdict.scale.is_ratio:
        return "Ratio of odds, counts or errors to the control's,\nturned so that right is better"
    unit = gap_unit(verdict)[1]
    return f"Difference{f', {unit}' if unit else ''},\nturned so that right is better"


def _draw_panel(axes: Any, verdicts: Sequence[Verdict]) -> None:
    places, labels, place = [], [], 0
    ends = np.array([_ends(verdict) for verdict in verdicts])
    is_ratio = verdicts[0].scale.is_ratio
    for first, second in pairs_of(verdicts):
        places.append(place)
        labels.append(cut(f"{first} against {second}", _LABEL))
        place += 1
        for verdict in verdicts:
            if (verdict.first, verdict.second) == (first, second):
                _draw_line(axes, verdict, place)
                places.append(place)
                labels.append(cut(name_briefly(verdict.row), _LABEL))
                place += 1
    _draw_band(axes, verdicts, is_ratio)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_yticks(places, labels, fontsize=_FONT)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=_FONT)
    _embolden(axes, places, labels, pairs_of(verdicts))
    axes.set_xlim(*_limits(ends, is_ratio))
    if is_ratio:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    grid(axes, "x")


def _embolden(axes: Any, places: Sequence[int], labels: Sequence[str], pairs: Sequence) -> None:
    """Sets the names of contrasts apart from those of conditions."""
    heads = {cut(f"{first} against {second}", _LABEL) for first, second in pairs}
    for text, label in zip(axes.get_yticklabels(), labels, strict=True):
        if label in heads:
            text.set_fontweight("bold")


def _draw_line(axes: Any, verdict: Verdict, place: float) -> None:
    value, low, high = _ends(verdict)
    look = _LOOKS[verdict.outcome]
    axes.plot([low, high], [place, place], color=look.colour, linewidth=1.2)
    axes.plot(
        [value],
        [place],
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        linestyle="none",
        markerfacecolor=look.colour if look.filled else "none",
    )


def _draw_band(axes: Any, verdicts: Sequence[Verdict], is_ratio: bool) -> None:
    """The margin of equivalence, and the line of no difference."""
    margins = {verdict.margin for verdict in verdicts if verdict.margin is not None}
    for margin in margins:
        low, high = (np.exp([-margin, margin])) if is_ratio else (-margin, margin)
        axes.axvspan(low, high, color=INK, alpha=0.08, linewidth=0)
    axes.axvline(1.0 if is_ratio else 0.0, color=INK, linewidth=0.7)


def _ends(verdict: Verdict) -> tuple[float, float, float]:
    """Estimate and interval as they are drawn, so that right is better."""
    assert verdict.estimate is not None
    sign = 1.0 if verdict.row.metric.higher_is_better else -1.0
    value, *ends = sign * np.array([verdict.estimate.difference, *verdict.estimate.interval])
    low, high = sorted(ends)
    if verdict.scale.is_ratio:
        value, low, high = np.exp([value, low, high])
        return float(value), float(low), float(high)
    factor = gap_unit(verdict)[0]
    return factor * value, factor * low, factor * high


def _limits(ends: np.ndarray, is_ratio: bool) -> tuple[float, float]:
    """Ends of the axis: all estimates with room to spare, and what intervals fit into it."""
    found = np.log(ends) if is_ratio else ends
    reach = max(float(np.abs(found[:, 0]).max()), 0.3 if is_ratio else 1e-12)
    low = max(float(found.min()), -_MAX_REACH * reach)
    high = min(float(found.max()), _MAX_REACH * reach)
    low, high = min(low, -0.3 * reach), max(high, 0.3 * reach)
    room = 0.04 * (high - low)
    limits = np.array([low - room, high + room])
    first, last = np.exp(limits) if is_ratio else limits
    return float(first), float(last)


def _legend(figure: Figure, verdicts: Sequence[Verdict]) -> None:
    shown = {verdict.outcome for verdict in verdicts}
    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            markersize=4.5,
            markerfacecolor=look.colour if look.filled else "none",
            label=outcome.value,
        )
        for outcome, look in _LOOKS.items()
        if outcome in shown
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=_FONT + 1)
