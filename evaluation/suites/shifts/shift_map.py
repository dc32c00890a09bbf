"""Where an image may lie to be recognised: right and wrong over shifts along both axes.

The map of Azulay and Weiss (2019) over all shifts of up to six pixels, blank pixels coming in, of
some images: one alone shows how ragged the border between right and wrong is, all together show how
far from its place an object may be.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.model import Predict, predict_all
from evaluation.perturbations.affine import SAMPLING, move
from evaluation.perturbations.curve import distort_all, show_one
from evaluation.results.result import Result, mean
from evaluation.results.shift_maps import changes, shift_details

REQUIRES = ("images",)
REACH = 6
# Each image costs 169 predictions.
_IMAGES = 100
_SHOWN = 4


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Accuracy over all shifts of 100 test images, or of all if there are fewer.

    Returns:
        The result; its details are the map of all images and those of the first few, and the share
        of steps by one pixel between right and wrong.

    Raises:
        NotApplicable: for images of no more pixels along an axis than the longest shift, after
            which nothing of them is left.
    """
    if min(dataset.test.images.shape[1:3]) <= REACH:
        raise NotApplicable(f"nothing is left of such small images after a shift by {REACH} pixels")
    test = dataset.test.sample(_IMAGES)
    pixels = range(-REACH, REACH + 1)
    shifts = np.array([(x, y) for y, x in itertools.product(pixels, pixels)], np.float32)
    images = distort_all(
        _shift, np.repeat(test.images, len(shifts), axis=0), np.tile(shifts, (len(test), 1))
    )
    logits = predict_all(predict, images, batch_size=batch_size, name="shift_map")
    answers = np.argmax(logits, axis=-1).reshape(len(test), len(pixels), len(pixels))
    right = answers == test.labels[:, None, None]
    outcomes = np.mean(right, axis=(1, 2))
    details = {"steps between right and wrong": float(np.mean(changes(right)))}
    details |= shift_details("all images", np.mean(right, axis=0))
    for number, label in enumerate(test.labels[:_SHOWN]):
        details |= shift_details(f"image {number + 1}, a {label},", right[number])
    return mean(
        "shift_map",
        "accuracy",
        outcomes,
        test,
        details=details,
        condition="all shifts",
        parameters={**SAMPLING, "largest shift along x and y": REACH},
    )


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images at two corners of the map."""
    return {
        f"{step}, {step} pixels": show_one(_shift, images, np.full((len(images), 2), step))
        for step in (-REACH, REACH)
    }


def _shift(image, key, shift):
    return move(image, jnp.eye(2), shift)
