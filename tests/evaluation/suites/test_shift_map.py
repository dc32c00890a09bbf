import functools

import numpy as np
import pytest

from data.dataset import Dataset
from evaluation import suites
from evaluation.suites.shifts.shift_map import REACH, examples
from tests.evaluation.suites.digits import constant, dataset

SUITE = suites.load("shift_map")


def dots() -> Dataset:
    """One bright pixel in each image, at (x, y) = (9, 7) and (4, 8) of 16x14; one image without."""
    images = np.zeros((3, 14, 16, 1), np.uint8)
    images[0, 7, 9] = images[1, 8, 4] = 255
    return dataset(images, [1, 1, 0])


def left_half(images):
    """Class 1 if anything is in the left half, else class 0."""
    inside = np.asarray(images)[:, :, :8].sum(axis=(1, 2, 3)) > 0.5
    return np.eye(10)[inside.astype(int)]


@functools.cache
def result(predict):
    return SUITE.evaluate(predict, dots(), batch_size=100)


def test_the_map_is_where_the_dot_is_classified_correctly():
    maps = {each.label: each.accuracy for each in result(left_half).artifacts}
    assert list(maps) == ["all images", "image 1, a 1", "image 2, a 1", "image 3, a 0"]
    shifts = np.arange(-REACH, REACH + 1)
    y, x = np.meshgrid(shifts, shifts, indexing="ij")
    first = (9 + x < 8) & (7 + y < 14)
    second = (4 + x >= 0) & (4 + x < 8) & (8 + y < 14)
    np.testing.assert_array_equal(maps["image 1, a 1"], first)
    np.testing.assert_array_equal(maps["image 2, a 1"], second)
    np.testing.assert_array_equal(maps["image 3, a 0"], np.ones((13, 13)))
    np.testing.assert_allclose(maps["all images"], np.mean([first, second, first | True], axis=0))
    found = result(left_half)
    np.testing.assert_allclose(found.outcomes, [first.mean(), second.mean(), 1.0])
    assert found.value == pytest.approx(np.mean(found.outcomes))
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.count == 3


def test_a_constant_prediction_has_no_border_between_right_and_wrong():
    found = result(constant)
    assert found.value == 0.0
    assert found.details["steps between right and wrong"].value == 0.0


def test_it_takes_a_hundred_images_and_every_shift_once():
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return constant(images)

    images = np.zeros((120, 14, 16, 1), np.uint8)
    found = SUITE.evaluate(predict, dataset(images, np.full(120, 7)), batch_size=1690)
    assert sum(sizes) == 100 * 169
    assert (found.count, found.value) == (100, 1.0)


def test_the_corners_are_shown():
    images = dots().test.images[:1] / np.float32(255.0)
    shown = examples(images)
    assert list(shown) == ["-6, -6 pixels", "6, 6 pixels"]
    assert np.argwhere(shown["-6, -6 pixels"]).tolist() == [[0, 1, 3, 0]]
    assert np.argwhere(shown["6, 6 pixels"]).tolist() == [[0, 13, 15, 0]]
