import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.spatial.transform

from common.errors import UserError
from data.batches import DeviceSplit
from data.sources.load import DatasetConfig
from data.tasks.extruded import ExtrudedConfig, extrude, rotation
from stn.sampling import sample
from stn.transforms import Affine

SMALL = ExtrudedConfig(
    canvas=32,
    thickness=6.0,
    rotation=60.0,
    smallest_scale=0.6,
    largest_scale=0.9,
    source=DatasetConfig(train="train[:40]", validation="train[40:46]", test="test[:7]", shift=0),
)


# In one program, as every eager operation would be one of its own.
poses = jax.jit(SMALL.poses, static_argnums=(1, 2))


def random_digits(count=5, size=28):
    images = np.random.default_rng(0).uniform(size=(count, size, size, 1)).astype(np.float32)
    return scipy.ndimage.gaussian_filter(images, (0, 1, 1, 0))


def slow_volume(image, theta, canvas, thickness):
    """The digit's whole volume, read trilinearly by scipy through the map in voxels."""
    size = len(image)
    empty = (size - thickness) // 2
    solid = np.zeros((size, size, size))
    solid[empty : size - empty] = image[None, :, :, 0]
    matrix = np.reshape(theta, (3, 4)).astype(np.float64)
    indices = np.stack(np.meshgrid(*[np.arange(canvas)] * 3, indexing="ij"))
    z, y, x = (2 * indices + 1) / canvas - 1
    read = np.tensordot(matrix[:, :3], np.stack([x, y, z]), axes=1) + matrix[:, 3, None, None, None]
    voxels = ((read + 1) * size - 1) / 2
    return scipy.ndimage.map_coordinates(solid, voxels[::-1], order=1, mode="grid-constant")


def test_a_body_is_the_trilinear_read_of_its_volume():
    images = random_digits()
    theta = poses(jax.random.key(0), len(images), 28)
    volumes = jax.jit(extrude, static_argnums=(2, 3))(images, theta, 32, 6.0)
    assert volumes.shape == (5, 32, 32, 32, 1)
    assert float(jnp.max(volumes)) > 0.5
    for image, parameters, volume in zip(images, theta, volumes, strict=True):
        expected = slow_volume(image, np.asarray(parameters), 32, 6)
        np.testing.assert_allclose(volume[..., 0], expected, atol=2e-4)


def test_rotations_are_those_of_scipy():
    random = np.random.default_rng(1)
    axes, angles = random.normal(size=(6, 3)), random.uniform(-3, 3, 6)
    unit = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    expected = scipy.spatial.transform.Rotation.from_rotvec(unit * angles[:, None]).as_matrix()
    np.testing.assert_allclose(
        rotation(jnp.asarray(axes), jnp.asarray(angles)), expected, atol=1e-5
    )


def test_poses_stay_within_their_ranges():
    matrix = np.asarray(Affine(3).matrix(poses(jax.random.key(1), 500, 28)))
    linear, shift = matrix[:, :, :3], matrix[:, :, 3]
    scale = np.cbrt(np.linalg.det(linear))
    turn = linear / scale[:, None, None]
    np.testing.assert_allclose(
        turn @ turn.transpose(0, 2, 1), np.tile(np.eye(3), (500, 1, 1)), atol=1e-5
    )
    size = 1 / scale * 32 / 28
    assert 0.6 <= size.min() < 0.62
    assert 0.88 < size.max() <= 0.9 + 1e-6
    angle = np.degrees(np.arccos((np.trace(turn, axis1=1, axis2=2) - 1) / 2))
    assert 55 < angle.max() <= 60.01
    centre = -np.linalg.solve(linear, shift[..., None])[..., 0]
    room = 1 - 1 / scale[:, None]
    assert np.all(np.abs(centre) <= room + 1e-5)
    assert np.abs(centre / room).max() > 0.95


def test_the_pose_undoes_the_rendering():
    images = random_digits(3)

    @jax.jit
    def undo(images):
        theta = SMALL.poses(jax.random.key(2), 3, 28)
        volumes = extrude(images, theta, 64, 6.0)
        back = Affine(3).inverse(theta)
        return sample(volumes, Affine(3).grid(back, (28, 28, 28)))

    upright = np.asarray(undo(images))
    # The slab's middle shows the digit again, but for two blurs.
    middle = np.mean(upright[:, 12:16], axis=1)
    assert np.mean(np.abs(middle - images)) < 0.05
    assert np.max(np.abs(upright[:, :8])) < 0.05


def test_the_fixed_volumes_are_the_same_in_every_run(data_dir):
    dataset = SMALL.load(data_dir)
    assert dataset.image_shape == (32, 32, 32, 1)
    assert dataset.train.images.shape == (40, 28, 28, 1)
    assert dataset.validation.images.shape == (6, 32, 32, 32, 1)
    assert dataset.test.poses is not None
    assert dataset.test.poses.shape == (7, 1, 12)
    assert dataset.test.images.dtype == np.uint8
    assert dataset.test.checksum == SMALL.load(data_dir).test.checksum
    assert dataset.test.checksum != dataclasses.replace(SMALL, seed=1).load(data_dir).test.checksum


def test_batches_differ_by_their_key():
    split = DeviceSplit(
        jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)), jnp.uint8),
        jnp.arange(4, dtype=jnp.int32),
    )
    generate = jax.jit(SMALL.generate)
    first, again, other = (
        generate(jax.random.key(seed), split, jnp.array([3, 1])) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.labels, [3, 1])
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.poses, other.poses)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thickness": 0.0}, "dataset.thickness=0.0"),
        ({"smallest_scale": 1.2}, "dataset.smallest_scale=1.2"),
    ],
)
def test_values_that_no_body_can_have(fields, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(SMALL, **fields).check()


def test_a_canvas_smaller_than_the_digit_is_named(data_dir):
    with pytest.raises(UserError, match=r"dataset.canvas=20"):
        dataclasses.replace(SMALL, canvas=20).load(data_dir)
