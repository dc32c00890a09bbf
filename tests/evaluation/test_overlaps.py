import dataclasses

import numpy as np
import pytest

from data.dataset import Dataset, Split
from evaluation import overlaps, suites
from evaluation.metrics import classification
from evaluation.model import Predictor
from evaluation.suites import NotApplicable

# Of four classes, by hand: the two largest are {1, 3}, {0, 1} (the first of equal ones) and {2, 3}.
LOGITS = np.array([[0.0, 3.0, 1.0, 2.0], [0.0, 0.0, -1.0, 0.0], [1.0, 2.0, 8.0, 9.0]])
LABELS = np.array([[3, 1], [2, 1], [0, 1]], np.int32)


def pairs():
    """Three images of a bright left half and a fainter right half; class k fills column k."""
    objects = np.zeros((3, 2, 4, 4, 1), np.uint8)
    for image, labels in enumerate(LABELS):
        for place, label in enumerate(labels):
            objects[image, place, :, label] = 255 - 51 * place
    split = Split(objects.max(axis=1), LABELS, objects=objects)
    return Dataset("columns", 4, split, split, split)


DATASET = pairs()


def columns(images):
    """Reconstructions that fill the column of each class."""
    return np.tile(np.eye(4)[None, :, None, :, None], (len(images), 1, 4, 1, 1))


def scores(images):
    """Each image's logits of `LOGITS`, told by the columns that are lit."""
    keys = (DATASET.test.images[:, 0, :, 0] > 0).astype(int) @ (1 << np.arange(4))
    found = (images[:, 0, :, 0] > 0).astype(int) @ (1 << np.arange(4))
    return np.stack([LOGITS[list(keys).index(key)] if key in keys else LOGITS[0] for key in found])


MODEL = Predictor.of(scores, class_reconstructions=columns)


def test_both_metrics_by_hand():
    np.testing.assert_array_equal(classification.predictions(LOGITS, 2), [[1, 3], [0, 1], [2, 3]])
    np.testing.assert_array_equal(classification.hits(LOGITS, LABELS), [True, False, False])
    np.testing.assert_array_equal(classification.partial_credit(LOGITS, LABELS), [1.0, 0.5, 0.0])
    exact, half = suites.run(suites.load("clean"), MODEL, DATASET, batch_size=2)
    assert (exact.metric.name, exact.value) == ("exact match", pytest.approx(1 / 3))
    assert (half.metric.name, half.value) == ("digit accuracy (half credit)", 0.5)
    assert exact.outcomes.tolist() == [True, False, False]
    assert half.outcomes.tolist() == [1.0, 0.5, 0.0]
    # Of six pairs one is right; of two guesses half a label is expected.
    assert (exact.chance, half.chance) == (pytest.approx(1 / 6), 0.5)


def test_one_label_is_scored_as_ever():
    np.testing.assert_array_equal(
        classification.hits(LOGITS, np.array([1, 1, 3])), [True, False, True]
    )
    two_heads = np.stack([LOGITS, LOGITS], axis=1)
    labels = np.array([[1, 1], [0, 3], [3, 3]])
    np.testing.assert_array_equal(classification.hits(two_heads, labels), [True, False, True])


def test_distortions_are_scored_by_exact_match_and_others_decline():
    found = suites.run(suites.load("rotation"), MODEL, DATASET, batch_size=2)
    assert {result.metric.name for result in found} == {"exact match"}
    (clean,) = (result for result in found if result.strength == 0.0)
    assert clean.value == pytest.approx(1 / 3)
    digits = dataclasses.replace(
        DATASET, num_classes=10, is_of_digits=True, test=DATASET.test.take(np.array([0, 1, 2, 0]))
    )
    digits.test.labels[3] = [6, 1]
    wide = Predictor.of(lambda images: np.pad(scores(images), ((0, 0), (0, 6)), constant_values=-9))
    found = suites.run(suites.load("rotation"), wide, digits, batch_size=2)
    without = [result for result in found if result.condition == "without 6 and 9"]
    assert {result.count for result in without} == {3}
    for name in ("confusions", "calibration", "small_shifts", "object_statistics"):
        with pytest.raises(NotApplicable, match="images of columns have 2 labels each"):
            suites.run(suites.load(name), MODEL, DATASET, batch_size=2)


def test_reconstructions_are_compared_with_each_object():
    error, separated = suites.run(suites.load("overlaps"), MODEL, DATASET, batch_size=2)
    # The second object of each image is a fifth fainter than its reconstruction: four pixels.
    assert error.value == pytest.approx(4 * 0.2**2 / 2, rel=1e-5)
    assert separated.value == 1.0
    images, objects, decoded = error.artifacts
    assert images.images.shape == (3, 4, 4, 1)
    assert objects.images.shape == decoded.images.shape == (3, 4, 4, 3)
    np.testing.assert_allclose(objects.images[0, 0], [[0, 0, 0], [0, 0.8, 0], [0, 0, 0], [1, 0, 0]])
    blind = Predictor.of(scores, class_reconstructions=lambda images: columns(images) * 0.0)
    error, separated = suites.run(suites.load("overlaps"), blind, DATASET, batch_size=2)
    # Blank reconstructions are closer to the fainter object, whichever it should be.
    assert separated.value == 0.5
    assert error.value == pytest.approx(4 * (1.0 + 0.8**2) / 2, rel=1e-5)


def test_pictures_keep_the_colours_of_right_predictions():
    ordered = overlaps.predicted_in_order(LOGITS, LABELS)
    np.testing.assert_array_equal(ordered, [[3, 1], [0, 1], [2, 3]])
    np.testing.assert_allclose(
        overlaps.overlay(np.array([1.0, 0.5]).reshape(2, 1, 1, 1)), [[[1.0, 0.5, 0.0]]]
    )


def test_what_no_suite_of_overlaps_can_measure():
    plain = Split(DATASET.test.images, LABELS[:, 0])
    single = Dataset("single", 4, plain, plain, plain)
    with pytest.raises(NotApplicable, match="single has no images of several known objects"):
        suites.run(suites.load("overlaps"), MODEL, single, batch_size=2)
    with pytest.raises(NotApplicable, match="no `class_reconstructions`"):
        suites.run(suites.load("overlaps"), Predictor.of(scores), DATASET, batch_size=2)
