"""Trainings that failed: reported apart, for a mean over them and the others describes neither.

A training has failed if its accuracy on clean test images lies below half the way from chance to
that of its model's best training, if that one learnt anything. Where all trainings of a model are
alike, none has failed, however low they are.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evaluation.results.result import Record

# Of a model's best training above chance, or nothing was learnt that another could have missed.
_LEARNT = 0.1
CRITERION = "its clean accuracy is below half the way from chance to its model's best training"


class Failure(NamedTuple):
    """A training that failed.

    Attributes:
        model: Its name.
        seed: Of the training; None if not known.
        accuracy: On clean test images, in [0, 1].
        threshold: That it did not reach.
    """

    model: str
    seed: int | None
    accuracy: float
    threshold: float


def find_failures(records: Sequence[Record]) -> list[Failure]:
    """Finds the trainings that failed among those whose clean accuracy is recorded.

    Args:
        records: Of one table; chance counts as 0 where it was not recorded.
    """
    by_model: dict[str, dict[int | None, float]] = {}
    chances: dict[str, float] = {}
    for record in records:
        if record.suite == "clean" and record.results:
            result, of = record.results[0], record.provenance
            by_model.setdefault(of.model, {})[of.seed] = result.value
            chances[of.model] = result.chance or 0.0
    failures = []
    for model, accuracies in by_model.items():
        threshold = least_accuracy(accuracies.values(), chances[model])
        failures += [
            Failure(model, seed, accuracy, threshold)
            for seed, accuracy in accuracies.items()
            if accuracy < threshold
        ]
    return failures


def least_accuracy(accuracies: Iterable[float], chance: float) -> float:
    """The clean accuracy below which a training of a model has failed; 0 where none has learnt.

    Args:
        accuracies: Of the model's trainings, in [0, 1].
        chance: That of guessing.
    """
    best = max(accuracies)
    return (chance + best) / 2.0 if best >= chance + _LEARNT else 0.0
