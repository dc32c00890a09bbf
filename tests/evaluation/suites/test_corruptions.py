import numpy as np
import pytest
import scipy.ndimage

from evaluation.suites.distortions import corruptions
from tests.evaluation.suites.digits import mnist
from tests.evaluation.test_edges import reference as reference_edges

COUNT = 40
IMAGES = mnist("test")[0][:COUNT] / np.float32(255.0)
LEVEL = 0.51 / 255.0  # rounding to whole grey levels


@pytest.fixture(scope="module")
def corrupted():
    return corruptions.examples(IMAGES)


def warped(image, matrix, shift=(0.0, 0.0)):
    """Moves an image by a matrix of (y, x) and a shift, with scipy."""
    back = np.linalg.inv(matrix)
    centre = np.full(2, 13.5)
    offset = centre - back @ (centre + np.array(shift))
    return scipy.ndimage.affine_transform(image, back, offset, order=1, mode="grid-constant")


def matches(found, expected):
    return np.abs(found - expected).max() < LEVEL + 1e-5


def turned(image, degrees):
    return scipy.ndimage.rotate(image, degrees, reshape=False, order=1, mode="grid-constant")


def test_there_are_ten(corrupted):
    assert len(corrupted) == 10


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("rotate", [lambda i: turned(i, 22.918312), lambda i: turned(i, -22.918312)]),
        (
            "translate",
            [lambda i, s=(y, x): warped(i, np.eye(2), s) for y in (-3.0, 3.0) for x in (-3.0, 3.0)],
        ),
    ],
)
def test_signs_are_drawn_for_each_image(corrupted, name, candidates):
    chosen = []
    for image, found in zip(IMAGES[..., 0], corrupted[name][..., 0], strict=True):
        fitting = [k for k, candidate in enumerate(candidates) if matches(found, candidate(image))]
        assert len(fitting) == 1
        chosen += fitting
    # Of 40 fair draws, each of four outcomes appears 2 times or fewer with probability 0.001.
    assert np.bincount(chosen, minlength=len(candidates)).min() > 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shear", lambda i: warped(i, np.array([[1.0, 0.0], [-0.4, 1.0]]))),
        ("scale", lambda i: warped(i, 0.7 * np.eye(2))),
        ("brightness", lambda i: np.minimum(i + 0.5, 1.0)),
        ("inverse", lambda i: 1.0 - i),
        (
            "stripe",
            lambda i: np.concatenate([1.0 - i[:, :7], i[:, 7:21], 1.0 - i[:, 21:]], axis=1),
        ),
    ],
)
def test_fixed_ones_are_what_they_say(corrupted, name, expected):
    for image, found in zip(IMAGES[..., 0], corrupted[name][..., 0], strict=True):
        assert matches(found, expected(image))


def test_impulses_set_a_sixth_of_the_pixels(corrupted):
    noisy = corrupted["impulse noise"]
    changed = noisy != np.round(255.0 * IMAGES) / np.float32(255.0)
    assert set(np.unique(noisy[changed])) == {0.0, 1.0}
    black = IMAGES == 0.0  # can only turn white
    assert np.mean(noisy[black] == 1.0) == pytest.approx(0.085, abs=0.006)
    grey = (IMAGES > 0.01) & (IMAGES < 0.99)
    assert np.mean(changed[grey]) == pytest.approx(0.17, abs=0.02)
    assert np.mean(noisy[grey] == 1.0) == pytest.approx(0.085, abs=0.02)
    assert not np.array_equal(noisy[0] == 1.0, noisy[1] == 1.0)


def test_speckles_grow_with_the_pixel(corrupted):
    noisy = corrupted["speckle noise"]
    assert not noisy[IMAGES == 0.0].any()
    # Where clipping is rare: values below 0.4 stay in range up to 2.5 standard deviations.
    dim = (IMAGES > 0.2) & (IMAGES < 0.4)
    noise = (noisy[dim] / IMAGES[dim] - 1.0) / 0.6
    inner = np.abs(noise) < 1.5
    assert np.mean(inner) == pytest.approx(0.866, abs=0.03)
    assert np.std(noise[inner]) == pytest.approx(0.741, abs=0.04)  # of a normal cut at 1.5
    assert abs(np.mean(noise[inner])) < 0.06


def test_edges_are_drawn(corrupted):
    for image, found in zip(IMAGES[:5], corrupted["Canny-like edges"][:5], strict=True):
        assert np.sum(found[..., 0] != reference_edges(image[..., 0])) <= 2
