"""Accuracy on test images shifted by whole pixels within their own frame.

A shift may be one that training images have, one beyond with all there is of an object still in the
frame, or one that cuts part of it off, and a mean would mix the three. A suite does not know how a
model was trained, and all models are asked the same; so tables have a row for shifts by the first
step either way (2 pixels in a frame of 28, which most configurations train with), one for longer
shifts that cut off at most 5 % of the ink (up to 6 pixels of MNIST along x and 4 along y), and one
for those that cut off more.

Frames cannot grow, for most networks take one size. So there are conditions of smaller objects too:
at 0.7 times their size all of a digit stays in the frame at shifts of up to 4 pixels. Beside them
is one without a shift, for a model that is worse on small digits is no worse at shifts for it.
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.model import Predict
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import Curve, distort_all, measure, show
from evaluation.results.quantities import Axis, Part, shares
from evaluation.results.result import Result

REQUIRES = ("images",)
PASSES = 16
QUICK = True
SEVERAL_LABELS = True

_AXES = {"along x": 2, "along y": 1}
_STEPS_EITHER_WAY = 4
# So many pixels of what was at the frame's centre and beyond stay in the frame.
_MARGIN = 6
_MAX_CUT = 0.05
_SMALLER = 0.7
_SMALLER_STEPS_EITHER_WAY = 2
SMALLER = f"{_SMALLER:g} times the size"
_RESIZED = {"times the original size": _SMALLER}


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy at shifts along x (positive to the right) and along y (positive down).

    The range grows with the frame: 8 pixels either way at 28, 12 at 40, 24 at 60; and half as far
    of smaller objects. Each result has the share of ink that stays in the frame, as a detail.

    Raises:
        NotApplicable: for images of less than 20 pixels.
    """
    images = dataset.test.images
    if _step(min(images.shape[1:3])) < 1:
        raise NotApplicable("the images are too small for a shift that leaves most of them")
    smaller = distort_all(lambda image, key, _: _shift(image, 0.0, 0.0, _SMALLER), images, None)
    results = []
    for curve in _curves(images):
        unmoved = smaller if SMALLER in curve.condition else images
        for result in measure("translation", [curve], predict, dataset, batch_size=batch_size):
            if result.strength is not None:
                stays = ink_that_stays(unmoved, _axis(curve.condition), result.strength)
                result = dataclasses.replace(result, details=shares(ink_in_the_frame=stays))
            results.append(result)
    return results


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at every shift."""
    return show(_curves(images), images)


def _curves(images: np.ndarray) -> list[Curve]:
    """Makes the curves along x and along y, of the images and of smaller ones."""
    return [
        *(_curve(condition, images, 1.0) for condition in _AXES),
        Curve(
            distort=lambda image, key, _: _shift(image, 0.0, 0.0, _SMALLER),
            definition=_RESIZED | SAMPLING,
            condition=SMALLER,
        ),
        *(_curve(f"{condition}, {SMALLER}", images, _SMALLER) for condition in _AXES),
    ]


def _curve(condition: str, images: np.ndarray, size: float) -> Curve:
    axis, is_smaller = _axis(condition), size != 1.0
    most = _SMALLER_STEPS_EITHER_WAY if is_smaller else _STEPS_EITHER_WAY
    step = _step(images.shape[axis])
    x, y = float(axis == 2), float(axis == 1)
    shifts = [float(step * k) for k in range(-most, most + 1)]
    if is_smaller:
        shifts.remove(0.0)  # which is the same along both axes
    return Curve(
        distort=lambda image, key, shift: _shift(image, x * shift, y * shift, size),
        definition={"positive": "right, down", **(_RESIZED if is_smaller else {}), **SAMPLING},
        condition=condition,
        axis=Axis(
            "shift",
            "pixels",
            identity=None if is_smaller else 0.0,
            parts=() if is_smaller else parts(images, axis, shifts),
        ),
        strengths=tuple(shifts),
    )


def parts(images: np.ndarray, axis: int, shifts: Sequence[float]) -> tuple[Part, ...]:
    """Divides shifts, those that there are of each, by their length and by the ink that stays.

    Args:
        images: `[count, height, width, channels]`.
        axis: 2 along x, 1 along y.
        shifts: In pixels, equally far either way; 0 belongs to no part.
    """
    first = min(abs(shift) for shift in shifts if shift)

    def name(length: float) -> str:
        if length == first:
            return f"within {first:g} pixels"
        stays = min(ink_that_stays(images, axis, way * length) for way in (-1, 1))
        more = "at most" if 1.0 - stays <= _MAX_CUT else "more than"
        return f"{more} {100 * _MAX_CUT:g} % of the ink cut off"

    divided: dict[str, list[float]] = {}
    for shift in sorted(filter(None, shifts), key=abs):
        divided.setdefault(name(abs(shift)), []).append(shift)
    return tuple(Part(each, tuple(sorted(found))) for each, found in divided.items())


def ink_that_stays(images: np.ndarray, axis: int, shift: float | None) -> float:
    """Computes the share of the images' ink that a shift by whole pixels leaves in the frame."""
    profile = images.sum(axis=tuple({0, 1, 2, 3} - {axis}), dtype=np.float64)
    pixels = int(shift or 0)
    stays = profile[max(-pixels, 0) : len(profile) - max(pixels, 0)]
    # Where there is no ink, none is lost.
    return float(stays.sum() / profile.sum()) if profile.any() else 1.0


def _axis(condition: str) -> int:
    return _AXES[condition.partition(",")[0]]


def _step(length: int) -> int:
    return (length // 2 - _MARGIN) // _STEPS_EITHER_WAY


def _shift(image, x, y, size):
    return move(image, size * jnp.eye(2), jnp.array([x, y]))
