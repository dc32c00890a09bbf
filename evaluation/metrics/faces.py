"""Statistics of faces and scrambles: paired scores, thresholds, and how they are compared.

A score is the model's number for "face" minus that for "other", logits or capsules' lengths alike.
Everything here pairs images: entry i of every array is of the same face.
"""

import numpy as np

# Share of intact faces that the threshold may miss.
MISSES = 0.05
# Keeps the change of a score that does not change at all from dividing by zero.
_SMALLEST = 1e-12


def face_threshold(scores: np.ndarray) -> float:
    """The score from which on an image is called a face: `MISSES` of intact faces are below it."""
    return float(np.quantile(scores, MISSES))


def half_way(called: np.ndarray, strengths: np.ndarray) -> float:
    """Where the share of images called a face has fallen to half of its first value.

    Args:
        called: `[images, strengths]` booleans.
        strengths: Increasing.

    Returns:
        The first such strength, interpolated; the last strength if it never falls so far.
    """
    shares = np.mean(called, axis=0)
    (below,) = np.nonzero(shares <= shares[0] / 2.0)
    if not len(below) or below[0] == 0:
        return float(strengths[0] if len(below) else strengths[-1])
    last = below[0]
    return float(
        np.interp(-shares[0] / 2.0, -shares[last - 1 : last + 1], strengths[last - 1 : last + 1])
    )


def selectivity(whole: np.ndarray, scrambled: np.ndarray, moved: np.ndarray) -> float:
    """How much a scramble changes the score against how much a small move of the face does.

    Args:
        whole: Scores of the faces.
        scrambled: Of their scrambles.
        moved: Of the faces after a small move.

    Returns:
        The ratio of the mean absolute changes; 0 if a scramble changes nothing.
    """
    change = max(float(np.mean(np.abs(whole - moved))), _SMALLEST)
    return float(np.mean(np.abs(whole - scrambled))) / change
