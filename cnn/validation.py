"""Checks of configurations and image shapes: one line that names the field, its value, the limits.

A rule is a function of a value that returns what the field must be where the value is not that,
and None where it is. A configuration lists its fields with their rules in one call of `check`.

The upper limits are no matter of taste: what is unrolled into a program must be compiled, and what
no memory holds ends a process without a line. They lie far above any network of this field.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rule = Callable[[Any], str | None]

# No float16, the gradients of which vanish unless the loss is scaled.
DTYPES = ("float32", "bfloat16")
# Channels, units, or pixels along a side.
MAX_SIZE = 2**16
MAX_PARAMETERS = 10**9
# Repetitions that become a copy of the program each.
MAX_UNROLLED = 100
# In float32, terms that are farther apart than this leave no digit of the smaller one.
MAX_WEIGHT = 1e6


def check(config: Any, **rules: Rule) -> None:
    """Checks fields of a configuration, in the order given.

    Args:
        config: A dataclass.
        rules: By the names of its fields.

    Raises:
        ValueError: for the first field whose value breaks its rule, in one line.
    """
    check_values(**{field: (getattr(config, field), rule) for field, rule in rules.items()})


def check_values(**values: tuple[Any, Rule]) -> None:
    """Checks arguments: by their names, a value and its rule each; raises as `check` does."""
    for name, (value, rule) in values.items():
        if requirement := rule(value):
            raise ValueError(f"{name}={shown(value)}: {requirement}")


# Networks check their configuration each time that they are made, by the same few rules.
_once = functools.lru_cache(maxsize=256, typed=True)


@_once
def whole(least: int = 1, most: int = MAX_SIZE) -> Rule:
    """A whole number within limits."""

    def rule(value):
        if _is_whole(value) and least <= value <= most:
            return None
        if _is_whole(value) and value < least:
            return f"must be at least {least}"
        return f"must be a whole number from {least} to {most}"

    return rule


@_once
def number(least: float, most: float, *, beyond: bool = False, below: bool = False) -> Rule:
    """A finite number within limits, which belong to it or, with `beyond` and `below`, do not."""

    def rule(value):
        if _is_number(value):
            high_enough = value > least if beyond else value >= least
            low_enough = value < most if below else value <= most
            if high_enough and low_enough:
                return None
            if not high_enough and (least, beyond) == (0.0, True):
                return "must be positive"
        limits = f"{'(' if beyond else '['}{least:g}, {most:g}{')' if below else ']'}"
        return f"must be in {limits}"

    return rule


share = number(0.0, 1.0, below=True)
"""The share of something that is dropped: in [0, 1), so not all of it."""
weight = number(0.0, MAX_WEIGHT)
"""A factor of a term of the loss."""


def flag(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool | np.bool_) else "must be True or False"


@_once
def one_of(*choices: Any) -> Rule:
    """One of several names or numbers."""

    def rule(value):
        if any(type(value) is type(choice) and value == choice for choice in choices):
            return None
        return f"choose one of {', '.join(map(str, choices))}"

    return rule


@_once
def each(rule: Rule, *, least: int = 0, most: int = MAX_UNROLLED) -> Rule:
    """A tuple with so many values at least and at most, all of which keep a rule."""

    def rule_of_all(values):
        if not isinstance(values, tuple | list):
            return "must be a tuple"
        if not least <= len(values) <= most:
            return f"must have from {least} to {most} values"
        for value in values:
            if requirement := rule(value):
                return f"{shown(value)}: {requirement}"
        return None

    return rule_of_all


def check_part(name: str, part: Any, base: type) -> None:
    """Checks a part of a configuration, which is a configuration itself with a `check` of its own.

    Args:
        name: Of the field or argument.
        part: Its value.
        base: The type from which its own has to derive.

    Raises:
        ValueError: if it does not, or a field of the part has a value that it cannot have.
    """
    if not isinstance(part, base):
        whose = f"{base.__module__}.{base.__qualname__}"
        raise ValueError(f"{name}={shown(part)}: must be of a type that derives from {whose}")
    part.check()


def network(value: Any) -> str | None:
    """The configuration of a network: anything with a function `build`."""
    built = callable(getattr(value, "build", None))
    return None if built else "must be the configuration of a network"


def check_shape(shape: Sequence[Any], *, axes: int = 3) -> None:
    """Checks the shape of an image, or with 4 axes of a volume.

    Raises:
        ValueError: if the shape has another number of axes, or any size is below 1.
    """
    names = ("depth", "height", "width", "channels")[-axes:]
    if len(shape) != axes or any(whole()(size) for size in shape):
        raise ValueError(
            f"{'images' if axes == 3 else 'volumes'} of shape {shown(tuple(shape))}: "
            f"must be ({', '.join(names)}), each from 1 to {MAX_SIZE}"
        )


def check_task(shape: Sequence[Any], num_classes: Any, *, axes: int = 3) -> None:
    """Checks the images and the number of classes that a network is built for.

    Raises:
        ValueError: as `check_shape`, or if there is no class.
    """
    check_shape(shape, axes=axes)
    check_values(num_classes=(num_classes, whole()))


def check_side(shape: Sequence[int], smallest: int, layers: str) -> None:
    """Checks that images are large enough.

    Args:
        shape: Height, width and channels of the images.
        smallest: The smallest height and width that the layers take.
        layers: What the images are too small for, for the message.

    Raises:
        ValueError: if a side is below the smallest, which the message names.
    """
    if min(shape[:2]) < smallest:
        raise ValueError(
            f"images of {shape[0]}x{shape[1]} pixels are too small for {layers}; the smallest "
            f"side that fits is {smallest}"
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    real = _is_whole(value) or isinstance(value, float | np.floating)
    return real and math.isfinite(value)


def shown(value: Any) -> str:
    """A value in one short line, however long it is."""
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:97]}..."
