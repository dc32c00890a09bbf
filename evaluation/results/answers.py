"""What a classifier answered and how sure it was, kept as the details of a result.

A result's details are numbers by name; here are the names, so that a suite can write a confusion
matrix or a reliability diagram and a report can draw it.
"""

import re
from collections.abc import Mapping

import numpy as np

BINS = 10
# Of so few digits that no name asks for more memory than there is.
_ANSWER = re.compile(r"label (\d{1,4}), answer (\d{1,4})")
_BIN = re.compile(r"(confidence|accuracy|images) in bin (\d{1,4})")


def confusion_details(labels: np.ndarray, answers: np.ndarray, classes: int) -> dict[str, float]:
    """How many images of each label got each answer.

    Args:
        labels: `[count]` classes.
        answers: Likewise.
        classes: How many there are.

    Returns:
        A number for every pair, zeros too.
    """
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, answers), 1)
    return {
        f"label {label}, answer {answer}": float(counts[label, answer])
        for label in range(classes)
        for answer in range(classes)
    }


def read_confusion(details: Mapping[str, float]) -> np.ndarray | None:
    """`[labels, answers]` counts, or None where the details have none, or not of every pair."""
    found = {
        (int(match[1]), int(match[2])): value
        for name, value in details.items()
        if (match := _ANSWER.fullmatch(name))
    }
    if not found:
        return None
    classes = 1 + max(max(pair) for pair in found)
    if len(found) != classes**2:
        return None
    counts = np.zeros((classes, classes))
    for pair, value in found.items():
        counts[pair] = value
    return counts


def reliability_details(confidences: np.ndarray, hits: np.ndarray) -> dict[str, float]:
    """Mean confidence, accuracy and number of the images in each bin of confidence.

    Args:
        confidences: `[count]`, of the answers, in [0, 1]; the bins are equally wide.
        hits: `[count]`, whether the answers are right.

    Returns:
        Three numbers for each bin that has images (Guo et al., 2017, equations 1 and 2).
    """
    bins = np.minimum((np.asarray(confidences) * BINS).astype(int), BINS - 1)
    details = {}
    for number in np.unique(bins):
        inside = bins == number
        details[f"confidence in bin {number}"] = float(np.mean(confidences[inside]))
        details[f"accuracy in bin {number}"] = float(np.mean(hits[inside]))
        details[f"images in bin {number}"] = float(np.sum(inside))
    return details


def read_reliability(details: Mapping[str, float]) -> np.ndarray | None:
    """`[bins, 3]` of confidence, accuracy and images, or None where one of them is missing."""
    numbers = sorted({int(m[2]) for name in details if (m := _BIN.fullmatch(name))})
    if not numbers:
        return None
    kinds = ("confidence", "accuracy", "images")
    names = [[f"{kind} in bin {number}" for kind in kinds] for number in numbers]
    if not all(name in details for of_bin in names for name in of_bin):
        return None
    return np.array([[details[name] for name in of_bin] for of_bin in names])


def is_of_answers(name: str) -> bool:
    """Whether a detail is part of a matrix or a diagram rather than a number of its own."""
    return bool(_ANSWER.fullmatch(name) or _BIN.fullmatch(name))
