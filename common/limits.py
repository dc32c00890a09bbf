"""Limits of the numbers in a configuration, checked in one line that names field and value."""

import inspect
import math
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError

# Steps, images and pixels are counted in int32 on a device, and seeds are 32 bits long.
MAX_WHOLE = 2**31 - 1
MAX_SEED = 2**32 - 1
# Numbers are float32 on a device; what is smaller than the smallest becomes 0 there.
MAX_NUMBER = float(np.finfo(np.float32).max)
MIN_POSITIVE = float(np.finfo(np.float32).tiny)


class Limits(NamedTuple):
    """Limits of a number.

    Attributes:
        least: The smallest one.
        most: The largest one.
        whole: No fractions.
        below: Not `most` itself either.
    """

    least: float = 0.0
    most: float = MAX_NUMBER
    whole: bool = False
    below: bool = False

    def broken_by(self, value: Any) -> str | None:
        """Names the limit that a value breaks, as "must be ..."; None if it breaks none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return f"must be a {'whole ' * self.whole}number"
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        if value < self.least:
            positive = self.least == MIN_POSITIVE
            return "must be more than 0" if positive else f"must be at least {_written(self.least)}"
        if value > self.most or (self.below and value == self.most):
            return f"must be {'less than' if self.below else 'at most'} {_written(self.most)}"
        return None


def _written(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def whole(least: int = 0, most: int = MAX_WHOLE) -> Limits:
    """A whole number."""
    return Limits(least, most, whole=True)


POSITIVE = Limits(MIN_POSITIVE)
"""A number above 0, in float32 too."""
SHARE = Limits(0.0, 1.0, below=True)
"""A number in [0, 1)."""
SEED = whole(0, MAX_SEED)


def check_fields(config: Any, prefix: str = "", **limits: Limits) -> None:
    """Checks numbers of a configuration.

    Args:
        config: A dataclass.
        prefix: What messages have before a field's name, such as "dataset.".
        limits: By the names of its fields.

    Raises:
        UserError: for the first field beyond its limits.
    """
    for name, limit in limits.items():
        check_number(f"{prefix}{name}", getattr(config, name), limit)


def check_number(name: str, value: Any, limits: Limits) -> None:
    """Raises a `UserError` if a number is beyond its limits."""
    if requirement := limits.broken_by(value):
        raise UserError(f"{name}={shown(value)}: {requirement}")


def check_method(name: str, config: Any, method: str, *arguments: str) -> None:
    """Raises a `UserError` if a part of a configuration cannot be called as its place demands.

    Args:
        name: Of the part.
        config: The part.
        method: Of the part.
        arguments: What it is called with.
    """
    try:
        inspect.signature(getattr(config, method)).bind(*arguments)
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"{name}={type(config).__name__}: must have {method}({', '.join(arguments)})"
        ) from None


def shown(value: Any, most: int = 60) -> str:
    """A value in one line that a message has room for, however long it is."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no whole numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[: most - 3]}..."
