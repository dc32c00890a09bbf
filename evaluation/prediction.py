"""What evaluations see of a model, and its answers for every image of a split."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

Predict = Callable[[np.ndarray], np.ndarray]
"""uint8 images `[batch, height, width, channels]` to logits `[batch, classes]`."""


class Warp(NamedTuple):
    """What the spatial transformers of a model did to a batch.

    Attributes:
        images: `[batch, transformers, out_height, out_width, channels]`, the resampled images.
        grids: `[batch, transformers, out_height, out_width, 2]`, where each pixel was read, (x, y)
            in [-1, 1] from edge to edge of the image.
    """

    images: np.ndarray
    grids: np.ndarray


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A trained model: a `Predict` that may know more.

    Attributes:
        predict: The model's logits.
        warp: From uint8 images to its `Warp`; None if it has no spatial transformer.
    """

    predict: Predict
    warp: Callable[[np.ndarray], Warp] | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits of uint8 images."""
        return self.predict(images)


def predict_all(
    predict: Callable[[np.ndarray], Any],
    images: np.ndarray,
    *,
    batch_size: int,
    name: str = "evaluate",
) -> Any:
    """Outputs for all images, in order.

    The last batch is filled up with blank images whose outputs are dropped, so every image counts
    once and every call has one shape.

    Args:
        predict: A `Predict`, or another function to an array, or a tuple of arrays such as `Warp`,
            with one entry for each image.
        images: uint8, `[count, height, width, channels]`.
        batch_size: Images per call of `predict`.
        name: What the progress bar says.

    Returns:
        What `predict` returns, `[count, ...]`; logits `[count, classes]` of a `Predict`.
    """
    outputs = []
    with tqdm(total=len(images), desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
            outputs.append(predict(np.concatenate([batch, blank])))
            bar.update(len(batch))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(images)], *outputs)
