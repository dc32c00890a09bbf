import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import DeviceSplit
from data.dataset import ROLES
from data.sources.load import DatasetConfig
from data.tasks import fixed

SOURCE = DatasetConfig(train="train[:60]", validation="train[60:90]", test="test[:40]", shift=0)
FEW = {"train_images": 50, "validation_images": 20, "test_images": 60, "source": SOURCE}
SIZES = {
    "rotated_mnist": (28, (10_000, 50_000)),
    "rs_mnist": (56, (5_000, 50_000)),
    "scale_mnist": (28, (10_000, 50_000)),
    "sim2mnist": (96, (10_000, 50_000)),
}


@pytest.fixture(scope="module")
def scaled(data_dir):
    return dataclasses.replace(fixed.scaled(), **FEW).load(data_dir)


@pytest.mark.parametrize("name", fixed.SETS)
def test_sets_have_the_published_sizes(name):
    config = fixed.SETS[name]()
    config.check()
    canvas, counts = SIZES[name]
    assert (config.canvas, (config.train_images, config.test_images)) == (canvas, counts)


def slow(image, theta, canvas):
    """A canvas read bilinearly pixel by pixel, in float64."""
    (size, _), out = image.shape, np.zeros((canvas, canvas))
    padded = np.pad(image.astype(np.float64), 1)
    matrix = theta.astype(np.float64).reshape(2, 3)
    for row in range(canvas):
        for column in range(canvas):
            place = (2.0 * np.array([column, row]) + 1.0) / canvas - 1.0
            x, y = ((matrix @ [*place, 1.0] + 1.0) * size - 1.0) / 2.0 + 1.0
            left, top = int(np.floor(x)), int(np.floor(y))
            for dy in (0, 1):
                for dx in (0, 1):
                    i, j = top + dy, left + dx
                    if 0 <= i < size + 2 and 0 <= j < size + 2:
                        out[row, column] += (1 - abs(x - j)) * (1 - abs(y - i)) * padded[i, j]
    return out


def test_images_are_those_of_a_slow_renderer(data_dir, scaled):
    source = SOURCE.load(data_dir)
    pool = np.concatenate([getattr(source, s).images for s in ("train", "validation", "test")])
    order = np.random.default_rng(0).permutation(len(pool))
    for number in range(3):
        theta = scaled.train.poses[number, 0]
        expected = slow(pool[order[number], ..., 0], theta, 28)
        assert np.abs(scaled.train.images[number, ..., 0] - expected).max() <= 0.51


def test_digits_are_scaled_in_the_published_range_and_upright(scaled):
    theta = np.concatenate([scaled.train.poses, scaled.test.poses])[:, 0].reshape(-1, 2, 3)
    scales = 1.0 / theta[:, 0, 0]
    assert 0.3 <= scales.min() < 0.36
    assert 0.94 < scales.max() <= 1.0
    np.testing.assert_allclose(theta[:, 0, 1:], 0.0, atol=1e-6)


def test_splits_are_apart_and_follow_from_the_seed(data_dir, scaled):
    assert [len(getattr(scaled, s)) for s in ("train", "validation", "test")] == [50, 20, 60]
    again, other = (
        dataclasses.replace(fixed.scaled(), **FEW, seed=seed).load(data_dir) for seed in (0, 1)
    )
    assert again.train.checksum == scaled.train.checksum != other.train.checksum
    assert again.test.checksum == scaled.test.checksum
    source = SOURCE.load(data_dir)
    every, drawn = (
        sorted(label for role in ROLES for label in getattr(each, role).labels.tolist())
        for each in (source, scaled)
    )
    assert every == drawn  # all 130, each once


def test_a_batch_is_the_same_whatever_its_key(scaled):
    split = DeviceSplit(jnp.asarray(scaled.train.images), jnp.asarray(scaled.train.labels))
    first, other = (
        fixed.scaled().generate(jax.random.key(k), split, jnp.array([3, 1])) for k in (0, 1)
    )
    np.testing.assert_array_equal(first.images, other.images)
    np.testing.assert_allclose(first.images, scaled.train.images[[3, 1]] / 255.0, atol=1e-6)


def test_rotated_and_moved_sets_fill_their_canvas():
    names = ("rotated_mnist", "rs_mnist", "sim2mnist")
    rotated, turned, moved = (np.asarray(poses(name)) for name in names)
    for theta, canvas, scales in (
        (rotated, 28, (1.0, 1.0)),
        (turned, 56, (0.6, 2.0)),
        (moved, 96, (1.0, 2.4)),
    ):
        linear = theta[:, :, :2] * 28 / canvas
        found = 1.0 / np.sqrt(np.linalg.det(linear))
        assert scales[0] - 1e-6 <= found.min() < scales[0] + 0.1
        assert scales[1] - 0.1 < found.max() <= scales[1] + 1e-6
        angles = np.rad2deg(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
        assert np.all(np.histogram(angles, 8, (-180, 180))[0] > 15)
    np.testing.assert_allclose(turned[:, :, 2], 0.0, atol=1e-6)
    assert np.abs(moved[:, :, 2]).max() > 1.0


def poses(name):
    """300 maps of a set, without its pictures."""
    config = fixed.SETS[name]()
    blank = np.zeros((300, 28, 28, 1), np.float32)
    found = jax.jit(lambda: config.distortion(jax.random.key(0), blank, config.canvas).theta)()
    return found.reshape(-1, 2, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test_images": 61}, "dataset.test_images=61: 131 images are asked for in all, and mnist"),
        ({"train_images": 0}, "dataset.train_images=0: must be at least 1"),
        ({"canvas": 20}, "dataset.canvas=20: the 28x28 images of mnist do not fit"),
    ],
)
def test_what_no_set_can_be_made_of_is_one_line(data_dir, fields, message):
    config = dataclasses.replace(fixed.scaled(), **{**FEW, **fields})

    def check_and_load():
        config.check()
        config.load(data_dir)

    with pytest.raises(UserError, match=re.escape(message)):
        check_and_load()
