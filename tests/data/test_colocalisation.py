import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import DeviceSplit
from data.sources.load import DatasetConfig
from data.tasks.colocalisation import CoLocalisationConfig

CONFIG = CoLocalisationConfig(
    digit=3,
    images=6,
    canvas=40,
    distractors=4,
    source=DatasetConfig(
        train="train[:200]", validation="train[200:210]", test="test[:60]", shift=0
    ),
)


@pytest.fixture(scope="module")
def dataset(data_dir):
    return CONFIG.load(data_dir)


@pytest.fixture(scope="module")
def split(dataset):
    return DeviceSplit(jnp.asarray(dataset.train.images), jnp.asarray(dataset.train.labels))


def generate(split, seed=0, count=64, config=CONFIG):
    chosen = jnp.arange(count)
    return jax.jit(config.generate)(jax.random.key(seed), split, chosen)


def digit_at(canvas, pose):
    """The 28x28 pixels of the canvas that the pose says are the digit's."""
    ratio = 40 / 28
    np.testing.assert_allclose(pose[[0, 1, 3, 4]], [ratio, 0, 0, ratio], rtol=1e-5)
    # A pixel at corner + 14 goes to zero.
    column, row = np.round((1 - pose[[2, 5]] / ratio) * 20 - 14).astype(int)
    return canvas[row : row + 28, column : column + 28]


def test_the_splits(dataset):
    assert dataset.train.images.shape == (200, 28, 28, 1)
    assert dataset.validation.images.shape == (6, 40, 40, 1)
    assert np.all(dataset.validation.labels == 3)
    assert np.all(dataset.test.labels == 3)
    assert dataset.image_shape == (40, 40, 1)
    assert dataset.num_classes == 10
    assert dataset.test.poses is not None
    assert dataset.test.poses.shape == (len(dataset.test), 1, 6)


def test_the_images_are_the_first_of_the_class_at_their_poses(dataset):
    sources = dataset.train.images[dataset.train.labels == 3][:6]
    assert dataset.validation.poses is not None
    for canvas, pose, source in zip(
        dataset.validation.images, dataset.validation.poses[:, 0], sources, strict=True
    ):
        found = digit_at(canvas, pose)
        assert np.all(found >= source)  # clutter adds to it
        assert np.mean(found == source) > 0.5


def test_every_batch_shows_the_validation_images(dataset, split):
    known = {image.tobytes() for image in dataset.validation.images}
    seen = set()
    for seed in (0, 1):
        batch = generate(split, seed)
        for images in (batch.images, batch.partners):
            seen |= {image.tobytes() for image in np.round(np.asarray(images) * 255).astype("u1")}
    assert seen == known
    assert not np.array_equal(generate(split, 0).images, generate(split, 1).images)


def test_a_partner_is_another_image(split):
    batch = generate(split)
    same = np.all(np.asarray(batch.images == batch.partners), axis=(1, 2, 3))
    assert not np.any(same)


def test_the_encoder_s_digits_are_the_chosen_ones(dataset, split):
    batch = generate(split)
    np.testing.assert_allclose(batch.digits, dataset.train.images[:64] / 255, rtol=1e-6)
    np.testing.assert_array_equal(batch.digit_labels, dataset.train.labels[:64])
    assert np.all(batch.labels == 3)


def test_windows_are_as_large_as_digits_and_on_the_canvas(split):
    windows = np.asarray(generate(split).windows)
    scale, shift = windows[:, :1], windows[:, 1:]
    np.testing.assert_allclose(scale, 28 / 40)
    assert np.all(np.abs(shift) <= 1 - 28 / 40)
    assert np.ptp(shift, axis=0).min() > 0.5


def test_another_seed_renders_other_images(dataset, data_dir):
    other = dataclasses.replace(CONFIG, seed=1).load(data_dir)
    assert other.validation.checksum != dataset.validation.checksum
    assert other.test.checksum != dataset.test.checksum


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"digit": 11}, "dataset.digit=11: 0 images"), ({"images": 150}, "150 are needed")],
)
def test_a_class_with_too_few_images_is_named(data_dir, fields, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **fields).load(data_dir)


def test_one_image_has_no_partner():
    with pytest.raises(UserError, match=r"dataset.images=1"):
        dataclasses.replace(CONFIG, images=1).check()
