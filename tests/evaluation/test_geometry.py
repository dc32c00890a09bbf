import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from evaluation.perturbations import affine

move, turn = jax.jit(affine.move), jax.jit(affine.turn)
IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(7, 10, 2)), jnp.float32)


def reference(image, matrix, shift):
    """The definition, pixel by pixel, through scipy's interpolation."""
    height, width, channels = image.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    y, x = np.mgrid[:height, :width]
    out = np.stack([x, y], axis=-1) - centre
    source = (out - shift) @ np.linalg.inv(matrix).T + centre
    return np.stack(
        [
            scipy.ndimage.map_coordinates(
                image[..., c], [source[..., 1], source[..., 0]], order=1, mode="grid-constant"
            )
            for c in range(channels)
        ],
        axis=-1,
    )


@pytest.mark.parametrize(
    ("matrix", "shift"),
    [
        (np.eye(2), (0.0, 0.0)),
        (np.eye(2), (1.5, -2.25)),
        ([[0.6, 0.0], [0.0, 1.3]], (0.0, 1.0)),
        ([[1.0, -0.4], [0.0, 1.0]], (-1.0, 0.5)),
        ([[0.9, 0.5], [-0.3, 1.1]], (0.7, 0.2)),
    ],
)
def test_points_are_moved_by_matrix_and_shift(matrix, shift):
    moved = move(IMAGE, jnp.array(matrix), jnp.array(shift))
    np.testing.assert_allclose(moved, reference(IMAGE, np.array(matrix), shift), atol=2e-6)


@pytest.mark.parametrize("angle", [-135.0, -20.0, 15.0, 90.0, 180.0])
def test_turns_are_those_of_scipy(angle):
    moved = move(IMAGE, turn(angle))
    rotated = scipy.ndimage.rotate(
        IMAGE, angle, axes=(1, 0), reshape=False, order=1, mode="grid-constant"
    )
    # At right angles scipy's own coordinates decide by rounding what lies on the frame's border.
    np.testing.assert_allclose(moved, rotated, atol=3e-6)


def test_a_right_angle_goes_counter_clockwise():
    image = jnp.arange(9.0).reshape(3, 3, 1)
    turned = move(image, turn(90.0))[..., 0]
    np.testing.assert_allclose(turned, [[2, 5, 8], [1, 4, 7], [0, 3, 6]], atol=2e-6)


def test_whole_pixels_keep_every_value():
    moved = move(IMAGE, jnp.eye(2), jnp.array([3.0, -2.0]))
    np.testing.assert_allclose(moved[:5, 3:], IMAGE[2:, :7], atol=2e-6)
    assert float(jnp.abs(moved[5:]).max()) < 1e-5
    assert float(jnp.abs(moved[:, :3]).max()) < 1e-5
