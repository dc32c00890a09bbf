"""Predictions of a model along a path of small changes of each image, and how often they jump."""

from collections.abc import Callable, Sequence

import numpy as np

from evaluation.model import predict_all
from evaluation.perturbations.curve import Distort, distort_all


def outputs_along(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    distort: Distort,
    strengths: Sequence[float],
    *,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """A model's outputs for all images at every step of a path.

    Args:
        predict: The model, or one field of its output.
        images: `[count, height, width, channels]`, uint8.
        distort: Takes an image to a step of the path.
        strengths: The steps, in order.
        batch_size: Images per call of the model.
        name: What the progress bar says.

    Returns:
        `[steps, count, ...]`, such as logits `[steps, count, classes]`.
    """
    return np.stack(
        [
            predict_all(
                predict, distort_all(distort, images, step), batch_size=batch_size, name=name
            )
            for step in strengths
        ]
    )


def flips(states: np.ndarray) -> np.ndarray:
    """How often a state changes from one step to the next, in either direction.

    With the states "the true class is the first answer" this is the jaggedness of Azulay and Weiss
    (2019); with the answers themselves, divided by the steps, the flip probability of Hendrycks
    and Dietterich (2019).

    Args:
        states: `[steps, count]`.

    Returns:
        `[count]`, from 0 to steps - 1.
    """
    return np.sum(states[1:] != states[:-1], axis=0)


def jumps(probabilities: np.ndarray) -> np.ndarray:
    """Mean absolute change of a probability from one step to the next.

    Args:
        probabilities: `[steps, count]`, of each image's true class.

    Returns:
        `[count]`, in [0, 1].
    """
    return np.mean(np.abs(np.diff(probabilities, axis=0)), axis=0)
