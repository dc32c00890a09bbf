import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import DeviceSplit
from data.dataset import Dataset, Split
from data.distortions import Placement
from data.sources.load import DatasetConfig
from data.tasks import distorted, rendering
from data.tasks.addition import AdditionConfig
from tests.data.stored import numbers, pixels, prepare

KEY = jax.random.key(5)
SMALL = DatasetConfig(train="train[:60]", validation="train[60:90]", test="test[:40]", shift=0)
TASKS = {
    "r": (distorted.rotated, (28, 28, 1), 10),
    "rts": (distorted.rotated_translated_scaled, (42, 42, 1), 10),
    "p": (distorted.projected, (28, 28, 1), 10),
    "e": (distorted.elastic, (28, 28, 1), 10),
    "t": (distorted.translated, (60, 60, 1), 10),
    "tc": (distorted.translated_cluttered, (60, 60, 1), 10),
    "tu": (distorted.translated_cluttered_large, (84, 84, 1), 10),
    "addition": (AdditionConfig, (42, 42, 2), 19),
}


def split(count=20, size=8):
    """Image k is filled with k + 1, so that a canvas shows which images are on it."""
    values = np.arange(1, count + 1, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (count, size, size, 1))
    return DeviceSplit(jnp.asarray(images), jnp.asarray(np.arange(count, dtype=np.int32) % 10))


@pytest.mark.parametrize("name", TASKS)
def test_tasks_have_the_papers_sizes(name, data_dir):
    make, shape, classes = TASKS[name]
    dataset = dataclasses.replace(make(), source=SMALL).load(data_dir)
    assert dataset.image_shape == shape
    assert dataset.num_classes == classes
    assert dataset.test.images.shape == (40, *shape)
    assert dataset.test.images.dtype == np.uint8
    assert dataset.train.images.shape == (60, 28, 28, 1)
    objects = shape[-1]
    assert dataset.test.poses.shape == (40, objects, dataset.pose_transform.num_parameters)
    assert dataset.test.images.max() > 200


def test_fixed_images_are_the_same_for_everyone_and_change_with_the_seed(data_dir):
    config = dataclasses.replace(distorted.rotated(), source=SMALL)
    first, again = config.load(data_dir), config.load(data_dir)
    other = dataclasses.replace(config, seed=1).load(data_dir)
    np.testing.assert_array_equal(first.test.images, again.test.images)
    np.testing.assert_array_equal(first.test.labels, other.test.labels)
    assert not np.array_equal(first.test.images, other.test.images)


def test_every_image_of_a_split_is_rendered_once():
    stored = split()
    config = distorted.DistortedConfig("squares", Placement(), canvas=12)
    rendered = rendering.render_split(
        config.generate, Split(np.asarray(stored.images), np.asarray(stored.labels)), KEY, chunk=8
    )
    assert len(rendered) == 20
    np.testing.assert_array_equal(rendered.images.max(axis=(1, 2, 3)), np.arange(1, 21))
    np.testing.assert_array_equal(rendered.labels, stored.labels)


def test_a_batch_is_new_with_every_key():
    config = distorted.DistortedConfig("squares", Placement(), canvas=30)
    chosen = jnp.arange(6)
    generate = jax.jit(config.generate)
    first, again = (generate(KEY, split(), chosen) for _ in range(2))
    other = generate(jax.random.key(6), split(), chosen)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, other.labels)
    assert not np.array_equal(first.images, other.images)
    assert first.images.min() >= 0.0
    assert first.images.max() <= 1.0


def test_clutter_has_its_number_and_size_of_patches():
    stored = split(size=8)
    draw = functools.partial(distorted.draw_clutter, batch=50, count=3, size=2, canvas=40)
    clutter = jax.jit(draw)(KEY, stored)
    assert clutter.shape == (50, 40, 40, 1)
    # Patches rarely overlap on so large a canvas: then each shows its image's value four times.
    values = np.round(np.asarray(clutter[..., 0]) * 255).astype(int)
    counts = [np.count_nonzero(canvas) for canvas in values]
    assert np.median(counts) == 12
    assert max(counts) == 12
    assert set(np.unique(values)) - {0} <= set(range(1, 41))
    rows, columns = np.nonzero(values.sum(axis=0))
    assert (rows.min(), columns.min()) == (0, 0)
    assert (rows.max(), columns.max()) == (39, 39)


def test_distractors_lie_over_the_image_without_exceeding_white(data_dir):
    plain = distorted.translated()
    cluttered = distorted.translated_cluttered()
    source = SMALL.load(data_dir).train
    stored = DeviceSplit(jnp.asarray(source.images), jnp.asarray(source.labels))
    chosen = jnp.arange(30)
    clean, dirty = (
        np.asarray(jax.jit(task.generate)(KEY, stored, chosen).images)
        for task in (plain, cluttered)
    )
    assert np.all(dirty >= clean - 1e-6)
    assert dirty.max() <= 1.0
    assert np.mean(np.count_nonzero(dirty > clean, axis=(1, 2, 3))) > 20


def test_addition_adds_the_labels_of_its_channels(data_dir):
    dataset = dataclasses.replace(AdditionConfig(), source=SMALL)
    source = SMALL.load(data_dir).train
    stored = DeviceSplit(jnp.asarray(source.images), jnp.asarray(source.labels))
    batch = jax.device_get(jax.jit(dataset.generate)(KEY, stored, jnp.arange(40)))
    partners = batch.labels - source.labels[:40]
    assert np.all((partners >= 0) & (partners <= 9))
    assert len(set(np.asarray(partners).tolist())) > 3
    assert not np.allclose(batch.poses[:, 0], batch.poses[:, 1])
    assert np.all(batch.images.max(axis=(1, 2)) > 0.3)


def test_a_canvas_that_is_too_small_is_refused(data_dir):
    config = dataclasses.replace(distorted.translated(), source=SMALL, canvas=20)
    with pytest.raises(UserError, match=r"dataset\.canvas=20: the 28x28 images"):
        config.load(data_dir)


def test_images_that_are_not_square_are_refused():
    images = Split(np.zeros((1, 4, 6, 1), np.uint8), np.zeros(1, np.int32))
    with pytest.raises(UserError, match="must be square"):
        rendering.check_canvas(28, Dataset("flat", 2, images, images, images))


def test_impossible_fields_are_refused():
    config = dataclasses.replace(distorted.translated_cluttered(), distractors=-1)
    with pytest.raises(UserError, match="distractors=-1"):
        config.check()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"canvas": 10**5}, r"dataset\.canvas=100000: images of shape .* GB"),
        ({"distractors": 10**9}, r"dataset\.distractors=1000000000: .* GB"),
        ({"distractor_size": 29}, r"dataset\.distractor_size=29: must be from 1 to 28"),
        ({"distractor_size": 0}, r"dataset\.distractor_size=0: must be from 1 to 28"),
    ],
)
def test_what_the_source_or_the_memory_does_not_allow(data_dir, fields, message):
    config = dataclasses.replace(distorted.translated_cluttered(), source=SMALL, **fields)
    with pytest.raises(UserError, match=message):
        config.load(data_dir)


def test_digits_to_add_have_one_channel(tmp_path):
    prepare(tmp_path, {"image": pixels(6, 6, 3), "label": numbers()})
    source = DatasetConfig(
        "stored", train="train[:9]", validation="train[9:18]", test="train[18:]", shift=0
    )
    with pytest.raises(UserError, match="'stored': its images have 3 channels"):
        AdditionConfig(canvas=8, source=source).load(str(tmp_path))
