"""Contrasts of two arms whose trainings are the unit: difference, test, equivalence.

Each training's value is brought to the scale of its quantity (see `scales`). The variance between
trainings is pooled over all arms of a row: three trainings of six arms have twelve degrees of
freedom, those of two arms four. To it comes the part of the images: how far the difference of two
arms varies from image to image beyond what the chance of their trainings explains, for other test
images would give another difference. Degrees of freedom are Satterthwaite's (1946), equivalence is
tested by two one-sided tests (Schuirmann, 1987).
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import special

from evaluation.statistics.scales import Scale

_CONFIDENCE = 0.95


class Arm(NamedTuple):
    """The trainings of one model.

    Attributes:
        values: `[trainings]`, in the quantity's unit.
        images: Behind each value.
        outcomes: `[trainings, images]`, whose means are the values; None if they are no such means.
        error: Of a value, its standard error over images, where there are no outcomes.
    """

    values: np.ndarray
    images: int
    outcomes: np.ndarray | None = None
    error: float = 0.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The difference of two arms, first minus second.

    Attributes:
        difference: On the scale of the quantity.
        interval: 95 %, on that scale.
        p_value: Of there being no difference, two-sided.
        p_apart: Of the arms being the margin apart or more; small values speak for equivalence. 1
            without a margin.
        natural: The difference in the quantity's unit, at the second arm's value.
        natural_interval: Likewise.
        is_same: True if no training of either differs from any other, so that nothing can differ.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    p_apart: float
    natural: float
    natural_interval: tuple[float, float]
    is_same: bool


def estimate(
    arms: Mapping[str, Arm], first: str, second: str, scale: Scale, margin: float | None
) -> Estimate:
    """Compares two arms of a row.

    Args:
        arms: All arms of the row, of the same images; those of two trainings or more tell the
            variance between trainings.
        first: An arm of at least two trainings.
        second: Its control, likewise.
        scale: Of the quantity.
        margin: Within which arms count as equivalent, on the scale, above 0; None for none.

    Raises:
        ValueError: if one of the two was trained once, of which nothing can be told.
    """
    if min(len(arms[first].values), len(arms[second].values)) < 2:
        raise ValueError(f"{first} or {second} was trained once")
    values = {name: scale.to(np.asarray(arm.values), arm.images) for name, arm in arms.items()}
    of_trainings, freedom = _training_variance(values, first, second)
    of_images = _image_variance(arms[first], arms[second], scale)
    difference = float(values[first].mean() - values[second].mean())
    error = float(np.sqrt(of_trainings + of_images))
    images = max(arms[first].images - 1, 1)
    if error > 0.0:
        freedom = error**4 / (of_trainings**2 / freedom + of_images**2 / images)
    half = float(special.stdtrit(freedom, (1.0 + _CONFIDENCE) / 2.0)) * error
    interval = (difference - half, difference + half)
    base = float(values[second].mean())
    natural = [float(scale.back(base + end) - scale.back(base)) for end in (difference, *interval)]
    least = _smallest_p_value(arms[first], arms[second])
    return Estimate(
        difference=difference,
        interval=interval,
        p_value=max(_tail(freedom, abs(difference), error, sides=2.0), least),
        p_apart=1.0 if margin is None else _apart(freedom, difference, error, margin),
        natural=natural[0],
        natural_interval=(natural[1], natural[2]),
        is_same=error == 0.0 and difference == 0.0,
    )


def _training_variance(
    values: Mapping[str, np.ndarray], first: str, second: str
) -> tuple[float, int]:
    """Variance of the difference from training to training, and its degrees of freedom."""
    squares = sum(float(np.sum((each - each.mean()) ** 2)) for each in values.values())
    freedom = sum(len(each) - 1 for each in values.values())
    share = 1.0 / len(values[first]) + 1.0 / len(values[second])
    return squares / freedom * share, freedom


def _image_variance(first: Arm, second: Arm, scale: Scale) -> float:
    """Variance of the difference over other images, without what trainings add to it.

    Values that are no means over images are taken as if each arm had images of its own, which errs
    towards wide intervals.
    """
    arms = ((1.0, first), (-1.0, second))
    slopes = [float(scale.slope(np.mean(arm.values), arm.images)) for _, arm in arms]
    if first.outcomes is None or second.outcomes is None:
        return (slopes[0] * first.error) ** 2 + (slopes[1] * second.error) ** 2
    gaps, noise = np.zeros(first.images), 0.0
    for slope, (sign, arm) in zip(slopes, arms, strict=True):
        outcomes = np.asarray(arm.outcomes, float)
        gaps += sign * slope * np.mean(outcomes, axis=0)
        noise += slope**2 * float(np.mean(np.var(outcomes, axis=0, ddof=1))) / len(outcomes)
    return max(float(np.var(gaps, ddof=min(1, len(gaps) - 1))) - noise, 0.0) / first.images


def _smallest_p_value(first: Arm, second: Arm) -> float:
    """What no test that swaps the arms image by image can go below: 1 if no image differs.

    Few images that all say the same have no variance between them, and seem to leave no doubt.
    """
    if first.outcomes is None or second.outcomes is None:
        return 0.0
    gaps = np.mean(first.outcomes, axis=0) - np.mean(second.outcomes, axis=0)
    return min(2.0 ** (1 - int(np.sum(np.abs(gaps) > 1e-9))), 1.0)


def _apart(freedom: float, difference: float, error: float, margin: float) -> float:
    return max(
        _tail(freedom, margin - difference, error), _tail(freedom, margin + difference, error)
    )


def _tail(freedom: float, distance: float, error: float, sides: float = 1.0) -> float:
    """Chance of a distance at least so large, where errors are of this size."""
    if error == 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return min(sides * float(special.stdtr(freedom, -distance / error)), 1.0)
