"""Artifacts of schemas 1 and 2, which were numbers by names that said which."""

import re
from collections.abc import Mapping

import numpy as np

from evaluation.results.artifacts import (
    Artifact,
    ConfusionMatrix,
    ObjectStatistics,
    ReliabilityDiagram,
    ShiftMap,
)

# Of so few digits that no name asks for more memory than there is.
_PAIR = re.compile(r"label (\d{1,4}), answer (\d{1,4})")
_BIN = re.compile(r"(confidence|accuracy|images) in bin (\d)")
_SHIFTED = re.compile(r"(.+?),? shifted by (-?\d{1,3}), (-?\d{1,3})")
_STATISTIC = re.compile(r"(\w+), class (\d{1,4}): (x|y|width|height|angle), (mean|sd)")


def take_artifacts(details: dict[str, float]) -> list[Artifact]:
    """Takes the numbers of artifacts out of details.

    Args:
        details: By name; what is left is of no artifact.

    Raises:
        KeyError: if a map lacks a shift, or statistics a property.
        ValueError: if a matrix lacks a pair, or numbers do not fit their kind.
    """
    return [*_confusion(details), *_reliability(details), *_shift_maps(details), *_objects(details)]


def _taken(details: dict[str, float], pattern: re.Pattern[str]) -> list[tuple[re.Match, float]]:
    found = [
        (match, value) for name, value in details.items() if (match := pattern.fullmatch(name))
    ]
    for match, _ in found:
        del details[match[0]]
    return found


def _confusion(details: dict[str, float]) -> list[Artifact]:
    found = _taken(details, _PAIR)
    if not found:
        return []
    classes = 1 + max(int(match[k]) for match, _ in found for k in (1, 2))
    if len(found) != classes**2:
        raise ValueError(f"{len(found)} pairs of {classes} labels and answers")
    counts = np.zeros((classes, classes))
    for match, value in found:
        counts[int(match[1]), int(match[2])] = value
    return [ConfusionMatrix(counts)]


def _reliability(details: dict[str, float]) -> list[Artifact]:
    found = _taken(details, _BIN)
    if not found:
        return []
    arrays = {"confidence": np.full(10, np.nan), "accuracy": np.full(10, np.nan)}
    arrays["images"] = np.zeros(10)
    for match, value in found:
        arrays[match[1]][int(match[2])] = value
    return [ReliabilityDiagram(arrays["confidence"], arrays["accuracy"], arrays["images"])]


def _shift_maps(details: dict[str, float]) -> list[Artifact]:
    maps: dict[str, dict[tuple[int, int], float]] = {}
    for match, value in _taken(details, _SHIFTED):
        maps.setdefault(match[1], {})[int(match[3]), int(match[2])] = value
    drawn = []
    for label, values in maps.items():
        reach = max(max(map(abs, shift)) for shift in values)
        accuracy = np.array(
            [[values[y, x] for x in range(-reach, reach + 1)] for y in range(-reach, reach + 1)]
        )
        drawn.append(ShiftMap(accuracy, label=label))
    return drawn


def _objects(details: dict[str, float]) -> list[Artifact]:
    splits: dict[str, dict[str, dict[tuple[int, str], float]]] = {}
    for match, value in _taken(details, _STATISTIC):
        split, label, name, kind = match.groups()
        splits.setdefault(split, {}).setdefault(name, {})[int(label), kind] = value
    return [
        ObjectStatistics(**{name: _by_class(values) for name, values in found.items()}, label=split)
        for split, found in splits.items()
    ]


def _by_class(values: Mapping[tuple[int, str], float]) -> np.ndarray:
    classes = range(1 + max(label for label, _ in values))
    return np.array(
        [[values.get((label, kind), np.nan) for kind in ("mean", "sd")] for label in classes]
    )
