"""Quantities: what a value is of, and what varies along a curve."""

import dataclasses
from typing import NamedTuple

from evaluation.statistics.intervals import ANY, SHARE, Limits

RATE = "rate"
"""The unit of shares in [0, 1], which are shown as percentages."""
COUNTS = ("images", "flips/image")
"""Units of what is counted image by image, so that a mean over n images has steps of 1 / n."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A measured quantity.

    Attributes:
        name: For tables.
        unit: `RATE`, or what the value is measured in; empty for a number without a unit.
        higher_is_better: None where neither more nor less is better; models are not ranked then.
        bounds: The least and the largest value that it can have; None for those of the unit, which
            are 0 and 1 of shares and nothing of any other.
    """

    name: str
    unit: str = RATE
    higher_is_better: bool | None = None
    bounds: Limits | None = None

    @property
    def is_rate(self) -> bool:
        """True of shares."""
        return self.unit == RATE

    @property
    def is_count(self) -> bool:
        """True of what is counted."""
        return self.unit in COUNTS

    @property
    def limits(self) -> Limits:
        """The least and the largest value, which no interval may leave."""
        return self.bounds or (SHARE if self.is_rate else ANY)


class Part(NamedTuple):
    """A stretch of a curve that is reported by itself, for a mean over all of it would hide it.

    Attributes:
        name: For tables, as in "within 45 degrees".
        strengths: Whose mean is reported; those that a curve was not measured at are left out.
    """

    name: str
    strengths: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """A strength at which a condition is measured.

    Attributes:
        name: Of the strength.
        unit: Of its values; empty for none.
        log: Drawn on a logarithmic scale.
        identity: The strength that leaves images clean, if there is one; a curve's headline is the
            mean over all others.
        headline: The strength that a curve's headline is of, in place of a mean.
        parts: Each a row of its own, in place of one row of the headline.
    """

    name: str
    unit: str = ""
    log: bool = False
    identity: float | None = None
    headline: float | None = None
    parts: tuple[Part, ...] = ()

    @property
    def label(self) -> str:
        """Name and unit."""
        return ", ".join(filter(None, (self.name, self.unit)))

    def show(self, strength: float | None) -> str:
        """A strength with its unit; empty for none."""
        return "" if strength is None else f"{strength:g} {self.unit}".strip()


class Detail(NamedTuple):
    """A further number that explains a value."""

    value: float
    unit: str = RATE


def shares(**values: float) -> dict[str, Detail]:
    """Details that are shares; underscores in their names are blanks."""
    return {name.replace("_", " "): Detail(float(value)) for name, value in values.items()}
