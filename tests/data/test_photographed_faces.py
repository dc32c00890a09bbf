"""The arrangements on 100 photographs: too few to train on, enough to see cut and paste work."""

import functools

import numpy as np
import pytest

from data import face_arrangements as arrangements
from evaluation.statistics import auroc

# Rows and columns where the 6x8 pixels of eyes, nose and mouth begin, on images of 25x25.
CORNERS = np.array([[5, 3], [5, 14], [11, 8], [17, 8]])
HEIGHT, WIDTH = 6, 8
# From the edge of a patch to where it covers what lies under it.
FEATHER = 2


@functools.cache
def photographs():
    data = pytest.importorskip("skimage.data")
    return data.lfw_subset()[:100]  # the others show no faces


def feather(size):
    edge = np.minimum(np.arange(size), np.arange(size)[::-1])
    return np.minimum((edge + 1) / (FEATHER + 1), 1.0)


def pasted(images, contents):
    """Cuts all parts out, then pastes them, feathered and with the mean of what they cover."""
    cut = [images[:, r : r + HEIGHT, c : c + WIDTH] for r, c in CORNERS]
    weight = feather(HEIGHT)[:, None] * feather(WIDTH)
    result = images.copy()
    for slot, (row, column) in enumerate(CORNERS):
        part, covered = cut[contents[slot]], cut[slot]
        matched = part + np.mean(covered - part, axis=(1, 2), keepdims=True)
        place = result[:, row : row + HEIGHT, column : column + WIDTH]
        place += weight * (matched - place)
    return result


def gradient(images):
    return sum(np.mean(np.abs(np.diff(images, axis=axis)), axis=(1, 2)) for axis in (1, 2))


def test_a_sham_is_the_photograph_itself():
    images = photographs()
    sham = pasted(images, arrangements.HOME)
    np.testing.assert_allclose(sham, images, atol=1e-12)
    assert images.shape == (100, 25, 25)


@pytest.mark.parametrize("contents", arrangements.CONFIGURATIONS, ids=str)
def test_scrambles_keep_what_a_face_has_without_its_arrangement(contents):
    images = photographs()
    scrambled = pasted(images, contents)
    assert np.mean(np.abs(scrambled - images)) > 0.01
    mean, sd = (auroc(f(images, axis=(1, 2)), f(scrambled, axis=(1, 2))) for f in (np.mean, np.std))
    edges = auroc(gradient(images), gradient(scrambled))
    # 100 photographs leave 0.08 to chance on either side of a half.
    assert 0.42 <= mean <= 0.58
    assert 0.42 <= sd <= 0.58
    assert 0.42 <= edges <= 0.58
