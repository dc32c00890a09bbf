"""Numbers and names as reports print them, in Markdown and HTML alike."""

import math

from evaluation.comparison.summary import Headline
from evaluation.comparison.tables import Row, Table
from evaluation.results.quantities import RATE, Detail

BEST = "best (p < .05, Holm)"
"""Heads the column that names a row's best model, if it is significantly better than all others."""
TIE = "≈"
TIE_NOTE = f"{TIE} marks the best and what does not differ from it significantly."
SINGLE = "single training"
"""In place of a winner where a compared model was trained once."""
SINGLE_NOTE = (
    f"{SINGLE}: a model of the row was trained once, so no winner is named. Tests against it, "
    "image by image, speak of that training and not of another with a new seed."
)


class Format:
    """Format of the numbers of a row: all with as many digits as its intervals bear.

    Args:
        row: Two digits of the narrowest half width are shown, of shares no more than hundredths of
            a percent. Without intervals, each number has three digits.
    """

    def __init__(self, row: Row):
        unit = row.metric.unit
        self._scale, self._unit = (100.0, "%") if unit == RATE else (1.0, unit)
        ends = [each.interval for each in row.headlines.values() if each.interval is not None]
        halves = [
            self._scale * (high - low) / 2.0 for low, high in ends if not _is_point(low, high)
        ]
        decimals = 1 - math.floor(math.log10(min(halves))) if halves else None
        most = 2 if unit == RATE else 4
        self._decimals = decimals if decimals is None else min(max(decimals, 0), most)

    def number(self, value: float) -> str:
        """A value with its unit."""
        return f"{self._digits(value)} {self._unit}".strip()

    def interval(self, interval: tuple[float, float] | None) -> str:
        """An interval without its unit; empty for none and for one that is a point."""
        if interval is None or _is_point(*interval):
            return ""
        return f"{self._digits(interval[0])} to {self._digits(interval[1])}"

    def _digits(self, value: float) -> str:
        value *= self._scale
        decimals = self._decimals
        if decimals is None:
            value = 0.0 if abs(value) < 1e-9 else value
            whole = value == round(value) or not math.isfinite(value)
            decimals = 0 if whole else max(2 - math.floor(math.log10(abs(value))), 0)
        shown = f"{value:,.{decimals}f}"
        return shown.removeprefix("-") if not shown.strip("-0.") else shown


def show_detail(row: Row, detail: Detail) -> str:
    """A further number: as those of its row in the row's unit, else with three digits."""
    if detail.unit == row.metric.unit:
        return Format(row).number(detail.value)
    if detail.unit == RATE:
        return f"{100.0 * detail.value:.3g} %"
    return f"{detail.value:.3g} {detail.unit}".strip()


def _is_point(low: float, high: float) -> bool:
    return high - low <= 1e-9 * max(abs(low), abs(high))


def show_p_value(p_value: float) -> str:
    """A p-value; nobody needs more than its first digits."""
    if p_value < 0.0001:
        return "< 0.0001"
    return f"{p_value:.4f}" if p_value < 0.1 else f"{p_value:.2f}"


def name_table(table: Table) -> str:
    """Title of a table: its images and the moment of training."""
    images = f", {table.limit:,} images" if table.limit else ""
    return f"{table.dataset}, {table.checkpoint.title}{images}"


def name_suite(suite: str) -> str:
    """A suite's name for people."""
    return suite.replace("_", " ")


def name_row(row: Row) -> str:
    """Suite, condition and metric of a row, and what its headline is."""
    which = f" ({row.distinction})" if row.distinction else ""
    return f"{name_condition(row)}: {row.metric.name}{_of_which_strengths(row)}{which}"


def name_condition(row: Row) -> str:
    """Suite and condition of a row."""
    return ", ".join(filter(None, (name_suite(row.suite), row.condition)))


def name_strength(strength: float | None, row: Row) -> str:
    """A strength of a row with its unit; empty for none."""
    return "" if row.axis is None else row.axis.show(strength)


def name_axis(row: Row) -> str:
    """The strength along which a row is measured, with its unit."""
    return "strength" if row.axis is None else row.axis.label


def name_seeds(headline: Headline) -> str:
    """The seeds behind a number."""
    if headline.seeds == (None,):
        return "not known"
    return ", ".join("?" if seed is None else str(seed) for seed in headline.seeds)


def verdict(row: Row) -> str:
    """The best model, or the size of a tie; empty where nothing was compared."""
    if not row.is_of_trainings:
        return SINGLE
    leaders = row.leaders()
    return f"tie of {len(leaders)}" if len(leaders) > 1 else "".join(leaders)


def scale_of(row: Row) -> float:
    """Factor of the values of a row where they are drawn: shares become percentages."""
    return 100.0 if row.metric.is_rate else 1.0


def label_value(row: Row) -> str:
    """Metric and unit of a row, for the axis of a figure."""
    unit = "%" if row.metric.is_rate else row.metric.unit
    return sentence(", ".join(filter(None, (row.metric.name, unit))))


def sentence(text: str) -> str:
    """A capital letter in front, unless the text starts with a symbol such as k."""
    return text if text[1:2] == "," else text[:1].upper() + text[1:]


def mark_of(row: Row, model: str) -> str:
    """Mark of a number of a model that is among several best ones; else empty."""
    leaders = row.leaders()
    return TIE if len(leaders) > 1 and model in leaders else ""


def _of_which_strengths(row: Row) -> str:
    strengths = next(iter(row.headlines.values())).strengths
    if not row.is_curve:
        return ""
    if len(strengths) == 1:
        return f" at {name_strength(strengths[0], row)}"
    return f", mean of {len(strengths)} strengths"
