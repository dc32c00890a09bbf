"""Accuracy on test images rotated about their centre, over a full circle.

Rotations within 45 degrees leave a digit what it is; beyond, some digits look like others, and a
mean over all angles would mix the two. So tables have a row for each. Under half a turn 6 and 9
change places, and no prediction is right: of images of digits there is a second condition, over
those of the other eight.

Half a turn is the same either way and is measured once.
"""

import numpy as np

from data.dataset import Dataset, Split
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import Curve, measure, show
from evaluation.results.quantities import Axis, Part
from evaluation.results.result import Result, rate

REQUIRES = ("images",)
PASSES = 23
QUICK = True
SEVERAL_LABELS = True
OTHER_DIGITS = "without 6 and 9"
_ANGLES = tuple(float(angle) for angle in range(-165, 181, 15))
_SWAPPED = (6, 9)

CURVE = Curve(
    distort=lambda image, key, angle: move(image, turn(angle)),
    definition={"positive": "counter-clockwise as seen", "about": "the centre", **SAMPLING},
    axis=Axis(
        "angle",
        "degrees",
        identity=0.0,
        parts=(
            Part("within 45 degrees", tuple(a for a in _ANGLES if 0.0 < abs(a) <= 45.0)),
            Part("beyond 45 degrees", tuple(a for a in _ANGLES if abs(a) > 45.0)),
        ),
    ),
    strengths=_ANGLES,
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at -165 to 180 degrees in steps of 15."""
    results = measure("rotation", [CURVE], predict, dataset, batch_size=batch_size)
    test = dataset.test
    swapped = np.isin(test.labels, _SWAPPED).reshape(len(test), -1)
    kept = ~np.logical_or.reduce(swapped, axis=1)
    if dataset.is_of_digits and 0 < kept.sum() < len(kept):
        split = test.take(kept)
        results += [_of_other_digits(result, kept, split) for result in results]
    return results


def _of_other_digits(result: Result, kept: np.ndarray, split: Split) -> Result:
    """Makes the result over the images that are kept from that over all of them."""
    assert result.outcomes is not None  # as of every rate
    return rate(
        result.suite,
        result.metric,
        result.outcomes[kept],
        split,
        condition=OTHER_DIGITS,
        axis=result.axis,
        strength=result.strength,
        definition={**result.definition, "classes left out": list(_SWAPPED)},
        chance=result.chance,
    )


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every angle."""
    return show([CURVE], images)
