"""Trajectories: a model's outputs along a path of small changes of each image."""

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
    """Computes a model's outputs for all images at every step of a path.

    Args:
        predict: The model, or one field of its output.
        images: `[count, height, width, channels]`, uint8.
        distort: Takes an image to a step of the path.
        strengths: The steps, in order.
        batch_size: Images per call of the model.
        name: For the progress bar.

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
