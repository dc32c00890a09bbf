import numpy as np

from evaluation.metrics.stability import changes, flips, jumps
from evaluation.perturbations.trajectories import outputs_along


def test_flips_by_hand():
    states = np.array([[1, 1, 0, 3], [0, 1, 0, 3], [1, 1, 1, 2], [1, 1, 0, 3]])
    np.testing.assert_array_equal(flips(states), [2, 0, 2, 2])


def test_jumps_by_hand():
    np.testing.assert_allclose(jumps(np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 0.5]])), [0.75, 0.0])


def test_every_step_is_seen_in_order():
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 4, 4, 1), np.uint8)
    found = outputs_along(
        lambda batch: np.round(255 * np.asarray(batch[:, 0, 0])),
        images,
        lambda image, key, step: image + step / 255.0,
        [0.0, 10.0],
        batch_size=2,
        name="test",
    )
    np.testing.assert_array_equal(found[..., 0], [[0, 1, 2], [10, 11, 12]])


def test_changes_between_neighbours_by_hand():
    right = np.zeros((3, 3, 3), bool)
    right[1, 1, 1] = True  # differs from its four neighbours; there are twelve pairs
    right[2, :, 0] = True  # a column: three pairs
    np.testing.assert_allclose(changes(right), [0, 4 / 12, 3 / 12])
