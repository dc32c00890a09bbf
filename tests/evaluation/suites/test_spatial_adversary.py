import functools
import itertools

import jax
import numpy as np
import pytest

from evaluation import suites
from evaluation.perturbations.curve import distort_all
from evaluation.suites.adversarial import spatial_adversary
from tests.evaluation.suites.digits import dataset, mnist

IMAGES = mnist("test")[0][:24]
HEAVY = (IMAGES.sum(axis=(1, 2, 3)) > 25000).astype(np.int32)
DIGITS = dataset(IMAGES, HEAVY, num_classes=2)


def lopsided(images):
    """Tells heavy digits from light ones, but ink weighs more on the right and at the top."""
    y, x = np.mgrid[:28, :28] - 13.5
    weights = 1.0 + 0.02 * x - 0.01 * y
    ink = np.sum(np.asarray(images)[..., 0] * weights, axis=(1, 2))
    return np.stack([np.full(len(ink), 25000.0 / 255.0), ink], axis=1)


@functools.cache
def results():
    return spatial_adversary.evaluate(lopsided, DIGITS, batch_size=24)


def hits(images, labels=HEAVY):
    return np.argmax(lopsided(images / np.float32(255.0)), axis=-1) == labels


def test_the_worst_of_more_tries_is_never_better():
    *random, grid = results()
    assert [result.strength for result in random] == [float(k) for k in range(1, 11)]
    values = [result.value for result in random]
    assert values == sorted(values, reverse=True)
    assert 0.0 < values[-1] < values[0]
    for fewer, more in itertools.pairwise(random):
        assert np.all(more.outcomes <= fewer.outcomes)
    assert grid.condition == "grid"
    assert 0.0 < grid.value < values[-1]


def test_one_try_is_the_accuracy_under_random_places():
    placed = distort_all(spatial_adversary.at_random, DIGITS.test.images, 0)
    np.testing.assert_array_equal(results()[0].outcomes, hits(placed))


def test_trying_everything_on_everything_gives_the_same():
    standing = np.ones(24, bool)
    for k in range(spatial_adversary.TRIES):
        standing &= hits(distort_all(spatial_adversary.at_random, DIGITS.test.images, k))
        np.testing.assert_array_equal(results()[k].outcomes, standing)
    standing = np.ones(24, bool)
    numbers = np.repeat(np.arange(24), 25)
    for places in np.split(spatial_adversary.grid(), 31):
        images = DIGITS.test.images[numbers]
        images = distort_all(spatial_adversary.at, images, np.tile(places, (24, 1)))
        standing &= hits(images, HEAVY[numbers]).reshape(24, 25).all(axis=1)
    np.testing.assert_array_equal(results()[-1].outcomes, standing)


def test_the_grid_is_complete_and_holds_the_identity():
    grid = spatial_adversary.grid()
    assert grid.shape == (775, 3)
    assert len(np.unique(grid, axis=0)) == 775
    np.testing.assert_array_equal(grid[-1], 0.0)
    np.testing.assert_array_equal(np.unique(grid[:, 0]), [-3.0, -1.5, 0.0, 1.5, 3.0])
    np.testing.assert_array_equal(np.unique(grid[:, 1]), [-3.0, -1.5, 0.0, 1.5, 3.0])
    np.testing.assert_allclose(np.unique(grid[:, 2]), np.arange(-30.0, 31.0, 2.0))
    (clean,) = suites.load("clean").evaluate(lopsided, DIGITS, batch_size=20)
    # An image that is misclassified untouched cannot withstand.
    assert np.all(results()[-1].outcomes <= clean.outcomes)


@pytest.mark.parametrize("batch_size", [7, 24, 100])
def test_the_first_try_that_fools_does_not_depend_on_the_batches(batch_size):
    calls = []

    def predict(images):
        calls.append(len(images))
        return lopsided(images)

    first = spatial_adversary.first_success(
        spatial_adversary.at_random,
        np.arange(10),
        predict,
        DIGITS.test,
        batch_size=batch_size,
        name="",
    )
    assert set(calls) == {batch_size}
    for k, result in enumerate(results()[:-1], start=1):
        np.testing.assert_array_equal(first >= k, result.outcomes)


def test_each_image_has_its_own_places_within_the_limits():
    keys = jax.vmap(jax.random.key)(np.arange(500))
    corners = np.zeros((27, 27, 1), np.float32)
    corners[13, 13] = 1.0
    corners[13, 22] = 1.0

    def place(key):
        return spatial_adversary.at_random(corners_on_device, key, np.int32(4))

    corners_on_device = jax.numpy.asarray(corners)
    images = np.asarray(jax.jit(jax.vmap(place))(keys))[..., 0]
    y, x = np.mgrid[:27, :27] - 13
    mass = images.sum(axis=(1, 2))
    # The centre of both dots: the shift, and half of the arm of nine pixels, turned.
    centre = np.stack([(images * x).sum((1, 2)), (images * y).sum((1, 2))], -1) / mass[:, None]
    assert np.all(np.abs(centre[:, 0] - 4.5) < 3.0 + 0.7)
    assert np.all(np.abs(centre[:, 1]) < 3.0 + 2.3)
    assert np.ptp(centre[:, 0]) > 5.5
    assert np.ptp(centre[:, 1]) > 7.0
    assert len(np.unique(np.round(centre, 3), axis=0)) > 490
