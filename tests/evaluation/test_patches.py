import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evaluation.attacks import patches
from tests.evaluation.suites import stripes
from tests.evaluation.suites.digits import mnist

paste = jax.jit(patches.paste)


def places(*rows):
    return jnp.array(rows, jnp.float32)


def test_a_patch_by_hand():
    images = np.full((2, 8, 8, 1), 0.5, np.float32)
    patch = np.broadcast_to(np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)[..., None], (2, 2, 2, 1))
    middle, corner = paste(images, patch, places((0.5, 0.5, 0.5), (0, 1, 0.5)), np.full(2, 0.25))
    expected = np.full((8, 8), 0.5)
    # Four pixels for two: the outer ones lie beyond the middles of the patch's pixels.
    expected[2:6, 2:6] = [0.0, 0.25, 0.75, 1.0]
    expected[2:6, 3:5] = [0.25, 0.75]
    np.testing.assert_allclose(middle[..., 0], expected, atol=1e-5)
    np.testing.assert_allclose(corner[4:, :4, 0], expected[2:6, 2:6], atol=1e-5)
    np.testing.assert_array_equal(corner[:4], 0.5)


def test_a_patch_without_area_changes_nothing():
    images = mnist("test")[0][:5] / np.float32(255.0)
    patch = np.ones((5, 14, 14, 1), np.float32)
    where = patches.draw_places(jnp.arange(5))
    np.testing.assert_array_equal(paste(images, patch, where, np.zeros(5, np.float32)), images)


@pytest.mark.parametrize("area", [0.02, 0.05, 0.2])
def test_a_patch_covers_its_area_wherever_it_lies(area):
    rows = [(x, y, angle) for x in (0, 0.3, 1) for y in (0, 1) for angle in (0, 0.5, 0.8)]
    patch = np.ones((len(rows), 14, 14, 2), np.float32)
    black = np.zeros((len(rows), 24, 28, 2), np.float32)
    shown = np.asarray(paste(black, patch, places(*rows), np.full(len(rows), area, np.float32)))
    covered = shown[..., 0].sum(axis=(1, 2)) / (24 * 28)
    np.testing.assert_allclose(covered, area, rtol=0.15)
    assert abs(covered.mean() / area - 1.0) < 0.05
    assert shown.min() >= 0.0
    assert shown.max() <= 1.0 + 1e-6


def test_a_patch_is_turned_about_its_middle():
    bar = np.zeros((3, 14, 14, 1), np.float32)
    bar[:, 6:8] = 1.0  # from left to right
    black = np.zeros((3, 29, 29, 1), np.float32)
    rows = places((0.5, 0.5, 0.0), (0.5, 0.5, 0.5), (0.5, 0.5, 1.0))
    shown = np.asarray(paste(black, bar, rows, np.full(3, 0.2, np.float32)))[..., 0]
    y, x = np.mgrid[-14:15, -14:15]
    angles = [
        np.rad2deg(0.5 * np.arctan2(2 * (each * x * y).sum(), (each * (x * x - y * y)).sum()))
        for each in shown
    ]
    np.testing.assert_allclose(np.abs(angles), [22.5, 0.0, 22.5], atol=1.0)
    assert angles[0] == pytest.approx(-angles[2], abs=1.0)
    for each in shown:
        np.testing.assert_allclose([(each * x).sum(), (each * y).sum()], 0.0, atol=0.5)


def test_a_place_is_an_images_own():
    np.testing.assert_array_equal(
        patches.draw_places(jnp.array([7, 3])),
        patches.draw_places(jnp.arange(8))[jnp.array([7, 3])],
    )
    drawn = patches.draw_places(jnp.arange(200))
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.1)
    assert drawn.min() >= 0.0


def test_training_makes_stripes_lie(monkeypatch):
    monkeypatch.setattr(patches, "STEPS", 30)
    monkeypatch.setattr(patches, "BATCH", 8)
    split = stripes.dataset().test
    patch = patches.train_patch(stripes.MODEL, split, 1, (0.02, 0.2), name="test")
    assert patch.shape == (14, 14, 1)
    assert patch.min() >= 0.0
    assert patch.max() <= 1.0
    energy = [np.mean(np.diff(patch[..., 0], axis=axis) ** 2) for axis in (0, 1)]
    assert energy[0] > 4.0 * energy[1]
