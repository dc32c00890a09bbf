"""Weights of a run at a given accuracy on validation images.

Networks are compared at equal accuracy, and checkpoints are few: the first past an accuracy may be
half a point beyond. So the checkpoint closest to the accuracy is taken if it is close enough. Else
it is the point of this accuracy on the line between the weights of two checkpoints, the last one
below and the first one past it, which lie on one path of training (Izmailov et al., 2018, average
weights along it).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from common.errors import UserError
from evaluation.metrics.classification import hits
from evaluation.model import predict_all
from evaluation.results.provenance import TOLERANCE
from training.run.checkpoints import Checkpoints
from training.setup import Setup
from training.step import TrainState

# Each halves what is left of the way between two checkpoints.
_MAX_HALVINGS = 12
# Accuracies are shares of whole images, as far as floats hold them.
_EPS = 1e-9


class Matched(NamedTuple):
    """A run at an accuracy.

    Attributes:
        state: Its weights.
        step: Of the checkpoint, or of the later one of two.
        matching: What was done, for records.
    """

    state: TrainState
    step: int
    matching: str


class NotReachedError(UserError):
    """Weights of an accuracy were asked of a run that never had it."""


def match(setup: Setup, checkpoints: Checkpoints, accuracy: float) -> Matched:
    """Finds weights within 0.1 points of an accuracy on validation images, in [0, 1].

    Raises:
        NotReachedError: if there are none.
        UserError: if a checkpoint is damaged.
    """
    scores = checkpoints.scores()
    closest = min(scores, key=lambda step: abs(scores[step] - accuracy), default=None)
    if closest is not None and _is_match(scores[closest], accuracy):
        state, _ = checkpoints.restore(closest, setup.abstract_state())
        return Matched(state, closest, f"step {closest}, {_percent(scores[closest])}")
    below, above = neighbours(scores, accuracy, str(checkpoints.folder))
    first, second = (
        checkpoints.restore(step, setup.abstract_state())[0] for step in (below, above)
    )

    def mixed(share: float) -> TrainState:
        return mix(first, second, share)

    found = bisect(lambda share: _accuracy(setup, mixed(share)), accuracy)
    between = f"steps {below}, {_percent(scores[below])}, and {above}, {_percent(scores[above])}"
    if found is None:
        raise NotReachedError(
            f"{checkpoints.folder}: no weights between those of {between}, are within "
            f"{100 * TOLERANCE:g} points of {_percent(accuracy)} on validation"
        )
    share, score = found
    way = f"{share:.4g} of the way between {between}: {_percent(score)}"
    return Matched(mixed(share), above, f"weights {way}")


def neighbours(scores: Mapping[int, float], accuracy: float, name: str) -> tuple[int, int]:
    """Finds the first step past an accuracy, and the last one before it.

    Args:
        scores: Validation accuracies by step.
        accuracy: In [0, 1], which no step has.
        name: Of the folder, for errors.

    Raises:
        NotReachedError: if no step is past it, or there is none before.
    """
    above = min((step for step, score in scores.items() if score >= accuracy), default=None)
    if above is None:
        raise NotReachedError(
            f"{name}: no checkpoint here reached {_percent(accuracy)} on validation"
        )
    below = max((step for step in scores if step < above), default=None)
    if below is None:
        raise NotReachedError(
            f"{name}: the first checkpoint here, of step {above}, is already past "
            f"{_percent(accuracy)} on validation, at {_percent(scores[above])}"
        )
    return below, above


def mix(first: TrainState, second: TrainState, share: float) -> TrainState:
    """Interpolates the weights that evaluations use, and other variables that are no whole numbers.

    Args:
        first: What a share of 0 gives.
        second: What a share of 1 gives, and all that is not interpolated.
        share: In [0, 1].
    """

    def between(a: Any, b: Any) -> Any:
        if not jax.numpy.issubdtype(b.dtype, jax.numpy.floating):
            return b
        return ((1.0 - share) * a + share * b).astype(b.dtype)

    params = jax.tree.map(between, first.evaluated_params, second.evaluated_params)
    other = jax.tree.map(between, first.other, second.other)
    average = None if second.average is None else params
    return second._replace(params=params, other=other, average=average)


def bisect(measure: Callable[[float], float], target: float) -> tuple[float, float] | None:
    """Finds a share whose score is within `TOLERANCE` of a target, by halving.

    Args:
        measure: From a share in [0, 1] to a score, below the target at 0 and above it at 1.
        target: The score.

    Returns:
        The share and its score; None if twelve halvings did not come so close.
    """
    low, high = 0.0, 1.0
    for _ in range(_MAX_HALVINGS):
        share = (low + high) / 2.0
        score = measure(share)
        if _is_match(score, target):
            return share, score
        low, high = (share, high) if score < target else (low, share)
    return None


def _is_match(score: float, accuracy: float) -> bool:
    return abs(score - accuracy) <= TOLERANCE + _EPS


def _accuracy(setup: Setup, state: TrainState) -> float:
    """Measures accuracy on validation images, as training does."""
    split, predictor = setup.dataset.validation, setup.predictor(state)
    logits = predict_all(
        predictor,
        split.images,
        batch_size=setup.evaluation_batch_size,
        name="matching the accuracy",
    )
    return float(np.mean(hits(logits, split.labels)))


def _percent(share: float) -> str:
    return f"{100.0 * share:.2f} %"
