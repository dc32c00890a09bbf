"""The corruptions of MNIST-C against slow references."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from evaluation.perturbations.curve import distort_all
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


def sheared(image, angle):
    """By the map of MNIST-C from a corrupted image's (y, x) to the image's."""
    return warped(image, np.linalg.inv([[np.cos(angle), 0.0], [-np.sin(angle), 1.0]]))


def test_there_are_the_fifteen_of_mnist_c(corrupted):
    kinds = "shot noise, impulse noise, glass blur, motion blur, shear, scale, rotate, brightness"
    kinds += ", translate, stripe, fog, spatter, dotted line, zigzag, Canny edges"
    assert ", ".join(corrupted) == kinds


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("rotate", [lambda i: turned(i, 22.918312), lambda i: turned(i, -22.918312)]),
        ("shear", [lambda i: sheared(i, 0.4), lambda i: sheared(i, -0.4)]),
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
        ("scale", lambda i: warped(i, 0.7 * np.eye(2))),
        ("brightness", lambda i: np.minimum(i + 0.5, 1.0)),
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


@pytest.mark.parametrize("level", [0, 51, 128, 255])
def test_shots_are_counts_of_poisson(level):
    """A third of a count of mean three times the grey level, at most 1."""
    (curve,) = (each for each in corruptions.CURVES if each.condition == "shot noise")
    grey = np.full((40, 28, 28, 1), level, np.uint8)
    counts = np.round(distort_all(curve.distort, grey, None) / 85.0).astype(int)
    shares = np.bincount(counts.reshape(-1), minlength=4) / counts.size
    poisson = scipy.stats.poisson(3.0 * level / 255.0)
    expected = [*poisson.pmf([0, 1, 2]), poisson.sf(2)]
    np.testing.assert_allclose(shares, expected, atol=0.012)  # four standard errors


def test_noise_strokes_and_blurs_differ_between_images():
    """Forty images that are the same come out in many ways."""
    shown = corruptions.examples(np.repeat(IMAGES[:1], COUNT, axis=0))
    for curve in corruptions.CURVES:
        ways = len(np.unique(shown[curve.condition].reshape(COUNT, -1), axis=0))
        if "signs" in curve.definition or "sign" in curve.definition:
            assert ways == (4 if curve.condition == "translate" else 2)
        else:
            assert ways > 20 if "seed" in curve.definition else ways == 1, curve.condition


def test_several_channels_have_one_stroke():
    colours = np.zeros((2, 32, 40, 3), np.float32)
    curves = [each for each in corruptions.CURVES if each.condition in ("zigzag", "spatter")]
    for shown in corruptions.show(curves, colours).values():
        assert np.array_equal(shown[..., 0], shown[..., 2])
        assert shown.any()


def test_edges_are_drawn(corrupted):
    for image, found in zip(IMAGES[:5], corrupted["Canny edges"][:5], strict=True):
        assert np.sum(found[..., 0] != reference_edges(image[..., 0])) <= 1
