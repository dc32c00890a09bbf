"""Statistics of paired scores of faces and their scrambles, and thresholds.

A score is the model's number for "face" minus that for "other", logits or capsules' lengths alike.
Everything here pairs images: entry i of every array is of the same face.
"""

import numpy as np

MAX_MISSES = 0.05
"""Share of intact faces that the threshold misses."""
# The least change of a score, so that none is divided by zero.
_EPS = 1e-12


def face_threshold(scores: np.ndarray) -> float:
    """Finds the least score of images classified as faces; `MAX_MISSES` of intact ones miss it."""
    return float(np.quantile(scores, MAX_MISSES))


def half_way(detected: np.ndarray, strengths: np.ndarray) -> float:
    """Finds the strength at which the share of detected faces has fallen to half its first value.

    Args:
        detected: `[images, strengths]` booleans, True for images classified as faces.
        strengths: Increasing.

    Returns:
        The first such strength, interpolated; the last strength if it never falls so far.
    """
    shares = np.mean(detected, axis=0)
    (below,) = np.nonzero(shares <= shares[0] / 2.0)
    if not len(below) or below[0] == 0:
        return float(strengths[0] if len(below) else strengths[-1])
    last = below[0]
    return float(
        np.interp(-shares[0] / 2.0, -shares[last - 1 : last + 1], strengths[last - 1 : last + 1])
    )


def selectivity(whole: np.ndarray, scrambled: np.ndarray, moved: np.ndarray) -> float:
    """Divides the change of the score by a scramble by that by a small move of the face.

    Args:
        whole: Scores of the faces.
        scrambled: Of their scrambles.
        moved: Of the faces after a small move.

    Returns:
        The ratio of the mean absolute changes; 0 if a scramble changes nothing.
    """
    change = max(float(np.mean(np.abs(whole - moved))), _EPS)
    return float(np.mean(np.abs(whole - scrambled))) / change
