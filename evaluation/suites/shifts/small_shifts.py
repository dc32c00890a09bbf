"""Stability of predictions under small moves: jaggedness, flip probability, consistency.

Jaggedness is that of Azulay and Weiss (2019), of the most probable class alone: of ten classes the
first five would nearly always include the true one. Consistency is that of Zhang (2019), with
shifts drawn for each image. A model whose predictions are constant has jaggedness 0 and consistency
1: read them with the accuracy.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.stability import flips, jumps
from evaluation.model import (
    Predict,
    as_predictor,
    predict_all,
    probability_field,
    to_probabilities,
)
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, Curve, Distort, distort_all, show
from evaluation.perturbations.trajectories import outputs_along
from evaluation.results.quantities import Axis, Metric, shares
from evaluation.results.result import Result, mean
from evaluation.statistics.intervals import NOT_NEGATIVE

REQUIRES = ("images",)
PASSES = 74
JAGGEDNESS = Metric("jaggedness", "flips/image", higher_is_better=False, bounds=NOT_NEGATIVE)
FLIP_PROBABILITY = Metric("flip probability", higher_is_better=False)
CONSISTENCY = Metric("consistency", higher_is_better=True)
# Pairs of shifts of each image that are compared.
_PAIRS = 3
# Least blank margin of a frame, of its side: MNIST's digits fill 20 of 28 pixels.
_MARGIN = 1 / 7


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures jaggedness, flip probability and consistency on all test images.

    Trajectories are shifts along x and along y by single pixels, with blank pixels coming in
    ("realistic") or those that left on the other side ("circular"), rotations by 2 degrees and
    scalings by 2 %. Shifts reach a seventh of the frame either way, where some ink leaves it: at 4
    pixels, 0.4 % of that of MNIST's test images along x and 2.3 % along y.

    The probability of the true class is the model's own, or that of the softmax of its logits.

    Raises:
        NotApplicable: for images of less than 4 pixels along an axis, which no shift by a pixel
            leaves whole.
    """
    test, model = dataset.test, as_predictor(predict)
    reach = round(_MARGIN * min(test.images.shape[1:3]))
    if reach < 1:
        raise NotApplicable("the images are too small for a shift by a pixel")
    field = probability_field(model)
    results = []
    for condition, curve in _trajectories(reach).items():
        values = outputs_along(
            model.field(field),
            test.images,
            curve.distort,
            [float(step) for step in curve.strengths if step is not None],
            batch_size=batch_size,
            name=f"small_shifts {condition}",
        )
        results += _along(condition, curve, values, to_probabilities(field, values), test)
    for kind, shift in _SHIFTS.items():
        results.append(_consistency(kind, shift, model, test, reach, batch_size))
    return results


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at the ends of every trajectory."""
    curves = _trajectories(round(_MARGIN * min(images.shape[1:3])))
    ends = {
        name: Curve(curve.distort, {}, name, curve.axis, (curve.strengths[0], curve.strengths[-1]))
        for name, curve in curves.items()
    }
    return show(list(ends.values()), images)


def _realistic(image, key, shift):
    return move(image, jnp.eye(2), shift)


def _circular(image, key, shift):
    return jnp.roll(image, jnp.round(shift[::-1]).astype(jnp.int32), (0, 1))


_SHIFTS: dict[str, Distort] = {"realistic": _realistic, "circular": _circular}


def _along_x(shift: Distort) -> Distort:
    return lambda image, key, step: shift(image, key, jnp.array([step, 0.0]))


def _along_y(shift: Distort) -> Distort:
    return lambda image, key, step: shift(image, key, jnp.array([0.0, step]))


_DIRECTIONS: dict[str, Callable[[Distort], Distort]] = {"x": _along_x, "y": _along_y}
# Made once, for every new function would be compiled anew.
_MOVES = {
    f"{kind} shift along {axis}": along(shift)
    for kind, shift in _SHIFTS.items()
    for axis, along in _DIRECTIONS.items()
}


def _turned(image, key, angle):
    return move(image, turn(angle))


def _scaled(image, key, factor):
    return move(image, factor * jnp.eye(2))


def _trajectories(reach: int) -> dict[str, Curve]:
    pixels = tuple(float(step) for step in range(-reach, reach + 1))
    degrees = tuple(float(angle) for angle in range(-12, 13, 2))
    factors = tuple(round(0.88 + 0.02 * step, 2) for step in range(13))
    return {
        **{
            name: Curve(distort, SAMPLING, name, Axis("shift", "pixels"), pixels)
            for name, distort in _MOVES.items()
        },
        "rotation": Curve(_turned, SAMPLING, "rotation", Axis("angle", "degrees"), degrees),
        "scale": Curve(_scaled, SAMPLING, "scale", Axis("factor"), factors),
    }


def _along(
    condition: str, curve: Curve, values: np.ndarray, probabilities: np.ndarray, test: Split
) -> list[Result]:
    """Measures jaggedness and flip probability of one trajectory."""
    predictions = np.argmax(values, axis=-1)
    of_truth = np.take_along_axis(probabilities, test.labels[None, :, None], axis=-1)[..., 0]
    right = predictions == test.labels
    jagged, changed = flips(right), flips(predictions)
    steps = len(predictions) - 1
    definition = {**curve.definition, "steps": list(curve.strengths), "first answers": 1}
    return [
        _mean(
            JAGGEDNESS,
            jagged,
            test,
            condition=condition,
            definition=definition,
            details=shares(
                **{
                    "flips for each step": float(np.mean(jagged)) / steps,
                    "jump of the true class's probability": np.mean(jumps(of_truth)),
                    "accuracy over all steps": np.mean(right),
                }
            ),
        ),
        _mean(FLIP_PROBABILITY, changed / steps, test, condition=condition, definition=definition),
    ]


def _consistency(
    kind: str, shift: Distort, predict: Predict, test: Split, reach: int, batch_size: int
) -> Result:
    """Measures the share of pairs of random shifts of an image with the same prediction."""
    random = np.random.default_rng(SEED)
    offsets = random.integers(-reach, reach + 1, (_PAIRS, 2, len(test), 2))
    predictions = [
        [
            np.argmax(
                predict_all(
                    predict,
                    distort_all(shift, test.images, chosen),
                    batch_size=batch_size,
                    name=f"small_shifts consistency {kind}",
                ),
                axis=-1,
            )
            for chosen in pair
        ]
        for pair in offsets
    ]
    agree = np.array([first == second for first, second in predictions])
    right = np.array(predictions) == test.labels
    return _mean(
        CONSISTENCY,
        np.mean(agree, axis=0),
        test,
        condition=f"{kind} shifts",
        definition={**SAMPLING, "pairs": _PAIRS, "largest shift": reach, "seed": SEED},
        details=shares(accuracy_over_all_shifts=np.mean(right)),
    )


def _mean(metric: Metric, outcomes: np.ndarray, test: Split, **facts: Any) -> Result:
    return mean("small_shifts", metric, np.asarray(outcomes, float), test, **facts)
