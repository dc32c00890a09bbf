"""Predictions for every image of a split."""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

Predict = Callable[[np.ndarray], np.ndarray]
"""uint8 images `[batch, height, width, channels]` to logits `[batch, classes]`."""


def predict_all(
    predict: Predict, images: np.ndarray, *, batch_size: int, name: str = "evaluate"
) -> np.ndarray:
    """Logits of all images, in order.

    The last batch is filled up with blank images whose logits are dropped, so every image counts
    once and every call has one shape.

    Args:
        predict: The model.
        images: uint8, `[count, height, width, channels]`.
        batch_size: Images per call of `predict`.
        name: What the progress bar says.

    Returns:
        Logits `[count, classes]`.
    """
    logits = []
    with tqdm(total=len(images), desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
            outputs = np.asarray(predict(np.concatenate([batch, blank])))
            logits.append(outputs[: len(batch)])
            bar.update(len(batch))
    return np.concatenate(logits)
