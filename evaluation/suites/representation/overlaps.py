"""Reconstruction of overlapping objects, each by itself, from the class that it belongs to.

Section 6 of Sabour, Frosst and Hinton (2017) shows that a capsule network takes two overlapping
digits apart. Here the class of each object of an image is decoded, and compared with that object
alone: the squared error, and whether the reconstruction is closer to its own object than to any
other of the image. A decoder that renders the whole image, or the same for every class, gets low
errors where objects overlap much, and does not separate them.
"""

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.reconstructions import ERROR
from evaluation.model import Predictor, predict_all
from evaluation.overlaps import (
    FIELD,
    has_objects,
    overlay,
    own_errors,
    predicted_in_order,
    reconstructions_of,
)
from evaluation.results.artifacts import Images
from evaluation.results.quantities import Metric
from evaluation.results.result import Result, mean

SUITE = "overlaps"
REQUIRES = ("images", FIELD)
PASSES = 2
SEVERAL_LABELS = True
SEPARATION = Metric("separated objects", higher_is_better=True)
_SHOWN = 8
# Reconstructions of every class that are in memory at once.
_CHUNK = 500


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the reconstructions of the labels of all test images.

    Returns:
        Error and separation, with pictures of the first images in two colours: the objects, and
        the reconstructions of the classes that are predicted.

    Raises:
        NotApplicable: if the objects of the images are not known one by one.
    """
    test = dataset.test
    if not has_objects(test):
        raise NotApplicable(f"{dataset.name} has no images of several known objects")
    parts = [
        own_errors(_reconstructions(predict, few, batch_size), few)
        for few in (test.take(slice(k, k + _CHUNK)) for k in range(0, len(test), _CHUNK))
    ]
    own, separated = (np.concatenate(each) for each in zip(*parts, strict=True))
    definition = {"decoded": "the labels", "objects": test.labels_per_image}
    pictures = _pictures(predict, test.take(slice(_SHOWN)), batch_size)
    return [
        mean(SUITE, ERROR, own.mean(axis=1), test, definition=definition, artifacts=pictures),
        mean(SUITE, SEPARATION, separated.mean(axis=1), test, definition=definition),
    ]


def _reconstructions(predict: Predictor, split: Split, batch_size: int) -> np.ndarray:
    return predict_all(predict.field(FIELD), split.images, batch_size=batch_size, name=SUITE)


def _pictures(predict: Predictor, shown: Split, batch_size: int) -> tuple[Images, ...]:
    """Overlays of the objects, and of the reconstructions of what is predicted."""
    assert shown.objects is not None
    logits = predict_all(predict, shown.images, batch_size=batch_size, name=SUITE)
    classes = predicted_in_order(logits, shown.labels)
    decoded = reconstructions_of(_reconstructions(predict, shown, batch_size), classes)
    return (
        Images(shown.images / np.float32(255.0), label="images"),
        Images(overlay(shown.objects / np.float32(255.0)), label="objects in two colours"),
        Images(overlay(decoded), label="reconstructions of the predicted classes"),
    )
