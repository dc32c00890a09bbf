"""Contrasts of two arms whose trainings are the unit: difference, test, equivalence.

Each training's value is brought to the scale of its quantity (see `scales`). An arm varies from
training to training by what its own trainings show (Welch, 1947): pooled with other arms, one that
trains less evenly than they do would be found different, or equivalent, too often. To this comes
the part of the images: how far the difference of two arms varies from image to image beyond what
the chance of their trainings explains, for other test images would give another difference. Degrees
of freedom are Satterthwaite's (1946), equivalence is tested by two one-sided tests (Schuirmann,
1987).
"""

import dataclasses
from collections.abc import Sequence
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


def estimate(first: Arm, second: Arm, scale: Scale, margin: float | None) -> Estimate:
    """Compares two arms of a row.

    Args:
        first: An arm of at least two trainings.
        second: Its control, likewise, on the same images.
        scale: Of the quantity.
        margin: Within which arms count as equivalent, on the scale, above 0; None for none.

    Raises:
        ValueError: if one of the two was trained once, of which nothing can be told.
    """
    trainings = [len(arm.values) for arm in (first, second)]
    if min(trainings) < 2:
        raise ValueError(f"arms of {trainings[0]} and {trainings[1]} trainings: each takes two")
    values = [scale.to(np.asarray(arm.values), arm.images) for arm in (first, second)]
    means = [float(each.mean()) for each in values]
    # Of each mean from training to training, and of the difference over images.
    variances = [float(np.var(each, ddof=1)) / len(each) for each in values]
    variances.append(_image_variance(first, second, scale))
    freedom = _freedom(variances, [*(each - 1 for each in trainings), max(first.images - 1, 1)])
    difference, error = means[0] - means[1], float(np.sqrt(sum(variances)))
    half = float(special.stdtrit(freedom, (1.0 + _CONFIDENCE) / 2.0)) * error
    interval = (difference - half, difference + half)
    ends = (difference, *interval)
    natural = [float(scale.back(means[1] + end) - scale.back(means[1])) for end in ends]
    least = _smallest_p_value(first, second)
    return Estimate(
        difference=difference,
        interval=interval,
        p_value=max(_tail(freedom, abs(difference), error, sides=2.0), least),
        p_apart=1.0 if margin is None else _apart(freedom, difference, error, margin),
        natural=natural[0],
        natural_interval=(natural[1], natural[2]),
        is_same=error == 0.0 and difference == 0.0,
    )


def _freedom(variances: Sequence[float], freedoms: Sequence[int]) -> float:
    """Degrees of freedom of a sum of variances, by those of each (Satterthwaite, 1946)."""
    total = sum(variances)
    if total == 0.0:
        return float(sum(freedoms))
    return 1.0 / sum(
        (variance / total) ** 2 / freedom
        for variance, freedom in zip(variances, freedoms, strict=True)
    )


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
