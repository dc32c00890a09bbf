import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.augmentation import phase_offsets, random_phase, random_shift, shift_images
from data.batches import DeviceSplit
from data.sources import DatasetConfig


def test_a_shift_moves_down_and_right_and_fills_with_zeros():
    images = jnp.arange(1, 17, dtype=jnp.uint8).reshape(1, 4, 4, 1)
    shifted = shift_images(images, jnp.array([[1, -2]]), limit=2)
    assert shifted.dtype == jnp.uint8
    np.testing.assert_array_equal(
        shifted[0, :, :, 0], [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0], [11, 12, 0, 0]]
    )


def test_no_shift_changes_nothing():
    images = jax.random.uniform(jax.random.key(0), (3, 5, 6, 2))
    np.testing.assert_array_equal(
        shift_images(images, jnp.zeros((3, 2), jnp.int32), limit=2), images
    )
    assert random_shift(jax.random.key(0), images, 0) is images


def test_all_offsets_are_equally_likely_and_independent_between_images():
    # A single bright pixel in the middle tells where each image went.
    images = jnp.zeros((5000, 9, 9, 1), jnp.uint8).at[:, 4, 4].set(255)
    shifted = np.asarray(random_shift(jax.random.key(0), images, 2))
    count, rows, columns, _ = np.nonzero(shifted)
    assert len(count) == 5000
    offsets = collections.Counter(zip((rows - 4).tolist(), (columns - 4).tolist(), strict=True))
    assert set(offsets) == {(row, column) for row in range(-2, 3) for column in range(-2, 3)}
    # 200 are expected of each; 5 standard deviations are 69.
    assert all(abs(seen - 200) < 69 for seen in offsets.values())
    # Neighbours in the batch agree as often as chance has it, 1 in 25.
    same = np.mean((rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1]))
    assert abs(same - 0.04) < 0.014


def test_phases_are_all_offsets_below_the_stride_from_none_on():
    for stride in (1, 2, 4, 8):
        offsets = phase_offsets(stride)
        assert offsets[0].tolist() == [0, 0]
        pairs = {(row, column) for row in range(stride) for column in range(stride)}
        assert {tuple(offset) for offset in offsets.tolist()} == pairs
        assert len(offsets) == stride**2
    # Random rather than row by row, so that a few phases are not all of one row.
    assert set(phase_offsets(4)[:4, 0]) != {0}


def test_few_phases_are_drawn_equally_often_and_no_others():
    images = jnp.zeros((3000, 9, 9, 1), jnp.uint8).at[:, 4, 4].set(255)
    shifted = np.asarray(random_phase(jax.random.key(0), images, 3, 4))
    count, rows, columns, _ = np.nonzero(shifted)
    assert len(count) == 3000
    offsets = collections.Counter(zip((rows - 4).tolist(), (columns - 4).tolist(), strict=True))
    assert set(offsets) == {tuple(offset) for offset in phase_offsets(4)[:3].tolist()}
    # 1,000 are expected of each; 5 standard deviations are 129.
    assert all(abs(seen - 1000) < 129 for seen in offsets.values())


def test_one_phase_is_no_augmentation():
    images = jax.random.randint(jax.random.key(0), (20, 6, 6, 1), 0, 256).astype(jnp.uint8)
    split = DeviceSplit(images, jnp.arange(20) % 10)
    numbers = jnp.arange(8)
    for key in jax.random.split(jax.random.key(1), 3):
        plain = DatasetConfig(shift=0).generate(key, split, numbers)
        # In place of the shift, not after it.
        one = DatasetConfig(shift=2, phases=1).generate(key, split, numbers)
        np.testing.assert_array_equal(one.images, plain.images)
        np.testing.assert_array_equal(one.labels, plain.labels)
        all_of_them = DatasetConfig(phases=16).generate(key, split, numbers)
        assert not np.array_equal(all_of_them.images, plain.images)


def test_there_are_no_more_phases_than_the_stride_has():
    DatasetConfig(phases=4, phase_stride=2).check()
    with pytest.raises(UserError, match="phases=5: a stride of 2 pixels has 4 phases"):
        DatasetConfig(phases=5, phase_stride=2).check()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 1), np.uint8)
KEY = jax.random.key(2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32, np.float64])
def test_images_of_numpy_move_as_those_of_jax(dtype):
    images = IMAGES.astype(dtype)
    offsets = np.array([[0, 0], [2, 1], [-2, -1], [0, -2], [1, 2]], np.int8)
    moved = shift_images(images, offsets, limit=2)
    for image, (down, right), seen in zip(images, offsets, moved, strict=True):
        framed = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        expected = np.roll(framed, (down, right), axis=(0, 1))[2:-2, 2:-2]
        np.testing.assert_array_equal(seen, expected)
    for move in (lambda x: random_shift(KEY, x, 2), lambda x: random_phase(KEY, x, 5, 3)):
        np.testing.assert_array_equal(move(images), move(jnp.asarray(images)))
    assert shift_images(images[:0], offsets[:0], limit=2).shape == (0, 6, 6, 1)


@pytest.mark.parametrize("asarray", [np.asarray, jnp.asarray])
def test_an_offset_beyond_the_limit_is_refused(asarray):
    for offset in ([3, 0], [0, -3]):
        with pytest.raises(ValueError, match="offsets of up to 3 pixels: the limit is 2"):
            shift_images(asarray(IMAGES[:1]), asarray([offset]), limit=2)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: random_shift(KEY, IMAGES, -1), "limit=-1"),
        (lambda: random_phase(KEY, IMAGES, 0, 4), "count=0: a stride of 4 has from 1 to 16 phases"),
        (lambda: random_phase(KEY, IMAGES, 17, 4), "count=17"),
        (lambda: phase_offsets(0), "stride=0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act()
