"""Accuracy on every test image under 32 random affine maps, generated in the ranges of affNIST.

affNIST's test split is made of MNIST's so: 32 maps of each digit on 40x40 pixels, 320,000 images.
These are drawn anew, the same ones for every model, as `affine` draws its one map of an image; so
nothing has to be fetched, and any images can be mapped, in frames of their own size. affNIST's own
files, where they lie, are scored by `--test_data affnist`. Its ranges of rotation, shear and scale
are those of `affine`; how it draws within them is not published in full, so that figures are close
to those on its files, and are not the same.

An image counts by the share of its maps that are predicted right, so the interval is over images,
of which the maps are no independent samples.
"""

import jax
import numpy as np

from data.dataset import Dataset
from evaluation.metrics.classification import ACCURACY, chance_of, hits
from evaluation.model import Predict, predict_all
from evaluation.perturbations.affine import move
from evaluation.perturbations.curve import distort_all, show_one
from evaluation.results.result import Result, mean
from evaluation.suites.distortions.affine import CURVE, draw

REQUIRES = ("images",)
MAPS = 32
PASSES = MAPS
SUITE = "affnist"
# Maps of which pictures are shown.
_SHOWN_MAPS = 4


def distort(image, key, number):
    """One of the maps of an image, by its number."""
    return move(image, *draw(jax.random.fold_in(key, number.astype(int)), image))


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the share of all maps of all test images that are predicted right."""
    test = dataset.test
    right = np.zeros(len(test))
    for number in range(MAPS):
        images = distort_all(distort, test.images, float(number))
        logits = predict_all(
            predict, images, batch_size=batch_size, name=f"{SUITE} {number + 1} of {MAPS}"
        )
        right += hits(logits, test.labels)
    definition = {**CURVE.definition, "maps of an image": MAPS, "grey levels": "rounded to 1/255"}
    return mean(
        SUITE, ACCURACY, right / MAPS, test, definition=definition, chance=chance_of(dataset)
    )


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images under their first maps."""
    return {
        f"map {number + 1}": show_one(distort, images, float(number))
        for number in range(_SHOWN_MAPS)
    }
