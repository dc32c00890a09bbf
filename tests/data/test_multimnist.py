import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import DeviceSplit
from data.dataset import Dataset, Split
from data.sources.load import DatasetConfig
from data.tasks.multimnist import MultiMNISTConfig, draw_partners, merge

KEY = jax.random.key(7)
COUNT = 60
SMALL = DatasetConfig(train="train[:60]", validation="train[60:90]", test="test[:40]", shift=0)
CONFIG = MultiMNISTConfig(source=SMALL)


def digits():
    """Images whose grey levels are their own, so that a canvas shows which digits are on it."""
    random = np.random.default_rng(0)
    images = random.integers(1, 256, (COUNT, 28, 28, 1), np.uint8)
    return images, (np.arange(COUNT) % 7).astype(np.int32)


IMAGES, LABELS = digits()
STORED = DeviceSplit(jnp.asarray(IMAGES), jnp.asarray(LABELS))
GENERATE = jax.jit(CONFIG.generate)
CHOSEN = np.arange(COUNT)


@pytest.fixture(scope="module")
def batch():
    return jax.device_get(GENERATE(KEY, STORED, CHOSEN))


@pytest.fixture(scope="module")
def dataset(data_dir):
    return dataclasses.replace(CONFIG, partners=3).load(data_dir)


def find(canvas, label):
    """The number of the image on a canvas and its place, by looking at every one of them."""
    (rows,), (columns,) = (np.nonzero(canvas.any(axis=axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    crop = canvas[top : top + 28, left : left + 28]
    (number,) = (
        k for k in np.nonzero(label == LABELS)[0] if np.array_equal(IMAGES[k, ..., 0], crop)
    )
    return number, top, left


def test_a_batch_is_what_a_slow_renderer_makes_of_the_same_pairs_and_places(batch):
    assert batch.images.shape == (COUNT, 36, 36, 1)
    assert batch.labels.shape == (COUNT, 2)
    levels = np.round(batch.objects * 255.0).astype(np.uint8)
    places = []
    for image, labels, objects, first in zip(
        batch.images, batch.labels, levels[..., 0], CHOSEN, strict=True
    ):
        found = [find(canvas, label) for canvas, label in zip(objects, labels, strict=True)]
        assert found[0][0] == first
        rendered = np.zeros((36, 36), np.float64)
        for number, top, left in found:
            for y in range(28):
                for x in range(28):
                    rendered[top + y, left + x] += IMAGES[number, y, x, 0] / 255.0
            places.append((top, left))
        np.testing.assert_allclose(image[..., 0], np.minimum(rendered, 1.0), atol=1e-6)
    # All places from -4 to 4 pixels off the centre along each axis, and the two on their own.
    assert {top for top, _ in places} == {left for _, left in places} == set(range(9))
    assert len({np.subtract(*places[k : k + 2])[0] for k in range(0, 2 * COUNT, 2)}) > 8


def test_sums_are_white_at_most():
    first, second = (np.array(levels, np.uint8) for levels in ([0, 200, 255, 7], [0, 56, 255, 8]))
    np.testing.assert_array_equal(merge(jnp.asarray(first), jnp.asarray(second)), [0, 255, 255, 15])


def test_partners_are_all_images_of_other_classes_alike():
    labels = jnp.asarray([0] * 8 + [1, 2])  # most first draws are of the same class
    chosen = jnp.zeros(6000, jnp.int32)
    draw = jax.jit(draw_partners)
    partners = np.asarray(draw(KEY, labels, chosen))
    counts = np.bincount(partners, minlength=10)
    assert counts[:8].sum() == 0
    assert counts[8] == pytest.approx(3000, abs=4 * np.sqrt(1500))
    np.testing.assert_array_equal(draw(KEY, labels, chosen), partners)
    assert set(np.asarray(draw(KEY, labels, chosen.at[:].set(9)))) == set(range(9))


def test_no_pair_is_of_one_class_and_batches_follow_from_their_key(batch, dataset):
    for pairs in (batch, dataset.validation, dataset.test):
        assert np.all(pairs.labels[:, 0] != pairs.labels[:, 1])
    again, other = (GENERATE(key, STORED, CHOSEN) for key in (KEY, jax.random.key(8)))
    np.testing.assert_array_equal(again.images, batch.images)
    assert not np.array_equal(other.labels, batch.labels)


def test_boxes_of_twenty_pixels_overlap_by_73_percent():
    """The paper says 80 %; E[(20 - |d|) / 20]^2, which its own shifts have, is 72.6 %."""
    images = np.zeros((COUNT, 28, 28, 1), np.uint8)
    images[:, 4:24, 4:24] = 255
    split = DeviceSplit(jnp.asarray(images), STORED.labels)
    shared = [
        np.sum(np.asarray(GENERATE(key, split, CHOSEN).objects).all(axis=1), axis=(1, 2, 3))
        for key in jax.random.split(KEY, 50)
    ]
    differences = np.abs(np.subtract.outer(np.arange(9), np.arange(9)))
    expected = np.mean(1.0 - differences / 20.0) ** 2
    assert expected == pytest.approx(0.7257, abs=1e-4)
    assert np.mean(shared) / 400.0 == pytest.approx(expected, abs=0.01)


def test_the_splits_are_the_same_for_everyone(data_dir, dataset):
    source = SMALL.load(data_dir)
    assert dataset.image_shape == (36, 36, 1)
    assert dataset.generator == dataclasses.replace(CONFIG, partners=3)
    assert (dataset.labels_per_image, dataset.train.labels_per_image) == (2, 1)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (60, 90, 120)
    # Each test digit comes first in so many pairs, in order.
    np.testing.assert_array_equal(dataset.test.labels[:, 0], np.repeat(source.test.labels, 3))
    total = dataset.test.objects.astype(int).sum(axis=1)
    np.testing.assert_array_equal(dataset.test.images, np.minimum(total, 255))
    again = dataclasses.replace(CONFIG, partners=3).load(data_dir)
    assert again.test.checksum == dataset.test.checksum
    other = dataclasses.replace(CONFIG, partners=3, seed=1).load(data_dir)
    assert other.test.checksum != dataset.test.checksum


def test_some_of_the_pairs_keep_all_that_is_known_of_them(dataset):
    few = dataset.test.sample(7)
    assert few.objects.shape == (7, 2, 36, 36, 1)
    np.testing.assert_array_equal(few.objects.max(axis=(1, 3)) > 0, few.images.max(axis=2) > 0)


def test_labels_of_pairs_are_checked():
    images = np.zeros((2, 4, 4, 1), np.uint8)
    split = Split(images, np.array([[0, 1], [2, 3]], np.int32))
    with pytest.raises(UserError, match="1 of 4 labels of the train split are outside"):
        Dataset("pairs", 3, split, split, split)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shift": -1}, "dataset.shift=-1: must be at least 0"),
        ({"partners": 0}, "dataset.partners=0: must be at least 1"),
        ({"partners": 10**9}, "dataset.partners=1000000000: images of shape"),
        ({"shift": 10**6}, "dataset.shift=1000000: images of shape"),
        (
            {"source": dataclasses.replace(SMALL, test="test[:1]")},
            "dataset.source.test='test[:1]': all images are of one class, and a pair needs two",
        ),
    ],
)
def test_what_no_pairs_can_be_made_of_is_one_line(data_dir, fields, message):
    config = dataclasses.replace(CONFIG, **fields)

    def check_and_load():
        config.check()
        config.load(data_dir)

    with pytest.raises(UserError, match=re.escape(message)) as caught:
        check_and_load()
    assert "\n" not in str(caught.value)
