import jax
import numpy as np
import pytest

from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.perturbations.curve import distort_all
from evaluation.suites.distortions.affine import draw

DRAW = jax.jit(draw)
SUITE = suites.load("affnist")
COUNT, SIDE = 6, 12


@pytest.fixture(scope="module")
def marks():
    images = np.zeros((COUNT, SIDE, SIDE, 1), np.uint8)
    images[:, 3:9, 4:7] = np.random.default_rng(0).integers(50, 256, (COUNT, 6, 3, 1))
    return Split(images, np.arange(COUNT, dtype=np.int32) % 3)


def slow(image, number, which):
    """A map in float64, read bilinearly pixel by pixel."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), number), which)
    matrix, shift = (np.asarray(each, np.float64) for each in DRAW(key, image))
    back, middle = np.linalg.inv(matrix), (SIDE - 1) / 2.0
    padded = np.pad(image[..., 0].astype(np.float64), 30)
    out = np.zeros((SIDE, SIDE))
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = back @ (np.array([column - middle, row - middle]) - shift) + middle + 30
            left, top = int(np.floor(x)), int(np.floor(y))
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
                    out[row, column] += weight * padded[top + dy, left + dx]
    return out


def test_maps_are_those_of_a_slow_reference(marks):
    for which in (0, 31):
        found = distort_all(SUITE.distort, marks.images, float(which))
        for number in range(2):
            image = marks.images[number] / np.float32(255)
            expected = 255.0 * slow(image, number, which)
            assert np.abs(found[number, ..., 0] - expected).max() <= 0.51


def test_maps_differ_and_are_the_same_for_every_model(marks):
    images = [distort_all(SUITE.distort, marks.images, float(k)) for k in (0, 1, 1)]
    assert np.all(np.any(images[0] != images[1], axis=(1, 2, 3)))
    np.testing.assert_array_equal(images[1], images[2])


def test_an_image_counts_by_the_share_of_its_maps(marks):
    """A model that is right for dark maps alone, which are found again by hand."""
    level, labels = 20.0, marks.labels

    def predict(images):
        dark = 255 * images.mean(axis=(1, 2, 3)) < level
        return np.eye(3)[np.where(dark, labels, 2 - labels)]

    dataset = Dataset("marks", 3, marks, marks, marks)
    (result,) = suites.run(SUITE, predict, dataset, batch_size=COUNT)
    expected = np.zeros(COUNT)
    for number in range(SUITE.MAPS):
        images = distort_all(SUITE.distort, marks.images, float(number))
        expected += (images.mean(axis=(1, 2, 3)) < level) | (labels == 1)
    np.testing.assert_allclose(result.outcomes, expected / 32)
    assert result.value == pytest.approx(expected.mean() / 32)
    assert 0.34 < result.value < 1.0
    assert result.definition["maps of an image"] == 32
