"""Accuracy over two-dimensional shifts, as a map.

The map of Azulay and Weiss (2019) over all shifts of up to six pixels, blank pixels coming in: of a
single image it shows how ragged the border between correct and wrong predictions is, of all images
how far from its place an object may be.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.metrics.classification import ACCURACY
from evaluation.metrics.stability import changes
from evaluation.model import Predict, predict_all
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import distort_all, show_one
from evaluation.results.artifacts import ShiftMap
from evaluation.results.quantities import shares
from evaluation.results.result import Result, mean

REQUIRES = ("images",)
PASSES = 34
REACH = 6
"""Pixels of the longest shift along an axis."""
# Each image costs 169 predictions.
_MAX_IMAGES = 100
_SHOWN = 4


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures accuracy over all shifts of 100 test images, or of all if there are fewer.

    Returns:
        The result, with the map of all images and those of the first few, and the share of steps
        by one pixel between right and wrong.

    Raises:
        NotApplicable: for images of no more pixels along an axis than the longest shift, after
            which nothing of them is left.
    """
    if min(dataset.test.images.shape[1:3]) <= REACH:
        raise NotApplicable(f"nothing is left of such small images after a shift by {REACH} pixels")
    test = dataset.test.sample(_MAX_IMAGES)
    pixels = range(-REACH, REACH + 1)
    shifts = np.array([(x, y) for y, x in itertools.product(pixels, pixels)], np.float32)
    images = distort_all(
        _shift, np.repeat(test.images, len(shifts), axis=0), np.tile(shifts, (len(test), 1))
    )
    logits = predict_all(predict, images, batch_size=batch_size, name="shift_map")
    predictions = np.argmax(logits, axis=-1).reshape(len(test), len(pixels), len(pixels))
    right = predictions == test.labels[:, None, None]
    outcomes = np.mean(right, axis=(1, 2))
    maps = [ShiftMap(np.mean(right, axis=0), label="all images")] + [
        ShiftMap(right[number].astype(float), label=f"image {number + 1}, a {label}")
        for number, label in enumerate(test.labels[:_SHOWN])
    ]
    return mean(
        "shift_map",
        ACCURACY,
        outcomes,
        test,
        details=shares(steps_between_right_and_wrong=float(np.mean(changes(right)))),
        condition="all shifts",
        chance=1.0 / dataset.num_classes,
        definition={**SAMPLING, "largest shift along x and y": REACH},
        artifacts=tuple(maps),
    )


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at two corners of the map."""
    return {
        f"{step}, {step} pixels": show_one(_shift, images, np.full((len(images), 2), step))
        for step in (-REACH, REACH)
    }


def _shift(image, key, shift):
    return move(image, jnp.eye(2), shift)
