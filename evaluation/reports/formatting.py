"""Numbers and names as reports print them, in Markdown and HTML alike."""

import math

from evaluation.comparison.rows import Row
from evaluation.comparison.summary import Headline
from evaluation.comparison.tables import Table
from evaluation.metrics.classification import ACCURACY
from evaluation.results.quantities import RATE, Detail, Metric


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

    def compact(self, value: float, interval: tuple[float, float] | None, fewer: int = 0) -> str:
        """A value and half the width of its interval, without a unit and with fewer digits."""
        shown = self._digits(value, fewer)
        if interval is None or _is_point(*interval):
            return shown
        return f"{shown}±{self._digits((interval[1] - interval[0]) / 2.0, fewer)}"

    def _digits(self, value: float, fewer: int = 0) -> str:
        value *= self._scale
        decimals = None if self._decimals is None else max(self._decimals - fewer, 0)
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
    """Suite and condition of a row, and the part of it."""
    return ", ".join(filter(None, (name_suite(row.suite), row.place)))


def name_briefly(row: Row) -> str:
    """Condition of a row, with its metric if that is not the accuracy, for lists and figures."""
    metric = "" if row.metric.name == ACCURACY.name else row.metric.name
    return ": ".join(filter(None, (name_condition(row), metric)))


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
    return ", ".join(map(name_seed, headline.seeds))


def name_seed(seed: int | None) -> str:
    """A seed; a question mark for one that is not known."""
    return "?" if seed is None else str(seed)


def scale_of(row: Row) -> float:
    """Factor of the values of a row where they are drawn: shares become percentages."""
    return 100.0 if row.metric.is_rate else 1.0


def unit_of(metric: Metric) -> str:
    """The unit of a metric for people; empty for none."""
    return "%" if metric.is_rate else metric.unit


def label_value(row: Row) -> str:
    """Metric and unit of a row, for the axis of a figure."""
    return sentence(", ".join(filter(None, (row.metric.name, unit_of(row.metric)))))


def sentence(text: str) -> str:
    """A capital letter in front, unless the text starts with a symbol such as k."""
    return text if text[1:2] == "," else text[:1].upper() + text[1:]


def _of_which_strengths(row: Row) -> str:
    strengths = next(iter(row.headlines.values())).strengths
    if not row.is_curve or row.part:
        return ""
    if len(strengths) == 1:
        return f" at {name_strength(strengths[0], row)}"
    return f", mean of {len(strengths)} strengths"


def cut(text: str, width: int) -> str:
    """A text of at most so many characters: of a longer one the middle is left out."""
    if len(text) <= width:
        return text
    kept = width - 1
    return f"{text[: kept - kept // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"
