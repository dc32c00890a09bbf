import collections

import jax
import jax.numpy as jnp
import numpy as np

from data.augmentation import random_shift, shift_images


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
