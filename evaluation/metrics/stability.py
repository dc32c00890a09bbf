"""Stability of predictions under small changes of an image."""

import numpy as np


def flips(states: np.ndarray) -> np.ndarray:
    """Counts the changes of a state from one step to the next, in either direction.

    With the state "the predicted class is the true one" this is the jaggedness of Azulay and Weiss
    (2019); with the predictions themselves, divided by the steps, the flip probability of Hendrycks
    and Dietterich (2019).

    Args:
        states: `[steps, count]`.

    Returns:
        `[count]`, from 0 to steps - 1.
    """
    return np.sum(states[1:] != states[:-1], axis=0)


def jumps(probabilities: np.ndarray) -> np.ndarray:
    """Averages the absolute change of a probability from one step to the next.

    Args:
        probabilities: `[steps, count]`, of each image's true class.

    Returns:
        `[count]`, in [0, 1].
    """
    return np.mean(np.abs(np.diff(probabilities, axis=0)), axis=0)


def changes(right: np.ndarray) -> np.ndarray:
    """Computes the share of neighbouring shifts, a pixel apart along x or y, that differ.

    Args:
        right: `[count, height, width]` booleans, of each image a map over the shifts.

    Returns:
        `[count]` shares of all pairs of neighbours, in [0, 1].
    """
    along_y = right[:, 1:] != right[:, :-1]
    along_x = right[:, :, 1:] != right[:, :, :-1]
    pairs = [each.reshape(len(right), -1) for each in (along_y, along_x)]
    return np.mean(np.concatenate(pairs, axis=1), axis=1)
