"""Shift, size, shear, random affine maps, perspective, bends and brightness on real digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from evaluation import suites
from evaluation.perturbations import affine as geometry
from evaluation.perturbations.curve import SEED
from evaluation.results.quantities import shares
from evaluation.suites import NotApplicable
from evaluation.suites.distortions import (
    affine,
    brightness_and_contrast,
    elastic,
    perspective,
    scale,
    shear,
    translation,
)
from tests.evaluation.suites.digits import constant, dataset, mnist

IMAGES = mnist("test")[0][:40]
PIXELS = IMAGES / np.float32(255.0)
LEVEL = 0.501 / 255.0 + 1e-5  # rounding to whole grey levels


def scipy_affine(images, matrix):
    """Sends (x, y), from the centre, to matrix @ (x, y)."""
    back = np.linalg.inv(matrix)[::-1, ::-1]  # scipy has rows first
    centre = np.full(2, (images.shape[1] - 1) / 2)
    offset = centre - back @ centre
    return np.stack(
        [
            scipy.ndimage.affine_transform(i[..., 0], back, offset, order=1, mode="grid-constant")
            for i in images
        ]
    )[..., None]


def test_shifts_are_whole_pixels_right_and_down():
    shifted = translation.examples(PIXELS)
    np.testing.assert_array_equal(shifted["along x, 4 pixels"][:, :, 4:], PIXELS[:, :, :-4])
    assert not shifted["along x, 4 pixels"][:, :, :4].any()
    np.testing.assert_array_equal(shifted["along y, -8 pixels"][:, :-8], PIXELS[:, 8:])
    assert not shifted["along y, -8 pixels"][:, -8:].any()


def test_the_ink_that_stays_is_that_of_the_shifted_images():
    digits = dataset(IMAGES, np.zeros(40))
    shifted = translation.examples(PIXELS)
    results = suites.run(translation, constant, digits, batch_size=40)
    assert len(results) == 18 + 1 + 8
    for result in results:
        if result.condition == translation.SMALLER:
            assert not result.details
            continue
        label = f"{result.condition}, {result.strength:g} pixels"
        unmoved = shifted["along x, 0 pixels"]
        if translation.SMALLER in label:
            unmoved = shifted[translation.SMALLER]
        stays = shifted[label].sum(dtype=float) / unmoved.sum(dtype=float)
        # Smaller digits are rounded anew at every shift.
        assert result.details["ink in the frame"].value == pytest.approx(stays, abs=1e-4)
    assert results[4].details == shares(ink_in_the_frame=1.0)
    blank = suites.run(translation, constant, dataset(0 * IMAGES, np.zeros(40)), batch_size=40)
    assert {r.details["ink in the frame"].value for r in blank if r.details} == {1.0}


def test_smaller_digits_stay_in_the_frame():
    digits = mnist("test")[0][:500]
    results = suites.run(translation, constant, dataset(digits, np.zeros(500)), batch_size=500)
    unmoved, *smaller = (result for result in results if translation.SMALLER in result.condition)
    assert (unmoved.condition, unmoved.strength) == ("0.7 times the size", None)
    assert [result.strength for result in smaller] == 2 * [-4.0, -2.0, 2.0, 4.0]
    assert min(result.details["ink in the frame"].value for result in smaller) > 0.9999
    shown = translation.examples(PIXELS)
    unmoved = shown["0.7 times the size"]
    np.testing.assert_allclose(unmoved, scipy_affine(PIXELS, 0.7 * np.eye(2)), atol=LEVEL)
    moved = shown["along x, 0.7 times the size, 4 pixels"]
    np.testing.assert_allclose(moved[:, :, 4:], unmoved[:, :, :-4], atol=1.1 / 255.0)


def test_shifts_are_divided_by_their_length_and_by_the_ink_that_stays():
    """Along y, digits are taller, 6 pixels cut off a tenth, along x 2.6 %."""
    shifts = (-8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0)
    little, more = (f"{most} 5 % of the ink cut off" for most in ("at most", "more than"))
    for axis, near, cut in ((1, (4.0,), (6.0, 8.0)), (2, (4.0, 6.0), (8.0,))):
        found = translation.parts(mnist("test")[0], axis, shifts)
        assert {name: tuple(abs(s) for s in of if s > 0.0) for name, of in found} == {
            "within 2 pixels": (2.0,),
            little: near,
            more: cut,
        }
        assert sorted(0.0 + s for _, of in found for s in of) == sorted(set(shifts) - {0.0})
    # A dot in the middle is never cut off, a full frame always; either way both directions agree.
    dot = np.zeros((1, 28, 28, 1), np.uint8)
    dot[:, 14, 14] = 255
    assert [part.name for part in translation.parts(dot, 2, shifts)] == [
        "within 2 pixels",
        little,
    ]
    left = np.zeros((1, 28, 28, 1), np.uint8)
    left[:, :, :2] = 255
    assert [part.name for part in translation.parts(left, 2, shifts)] == [
        "within 2 pixels",
        more,
    ]


@pytest.mark.parametrize(("size", "reach"), [(16, None), (20, 4), (28, 8), (40, 12), (60, 24)])
def test_a_larger_frame_gets_a_larger_range(size, reach):
    images = np.zeros((2, size, 28, 1), np.uint8)
    data = dataset(images, [0, 1])
    if reach is None:
        with pytest.raises(NotApplicable, match="too small for a shift"):
            suites.run(translation, constant, data, batch_size=2)
    else:
        results = suites.run(translation, constant, data, batch_size=2)
        down = [r.strength for r in results if r.condition == "along y"]
        assert down == [k * reach / 4 for k in range(-4, 5)]
        half = [r.strength for r in results if r.condition == f"along y, {translation.SMALLER}"]
        assert half == [shift for shift in down[2:-2] if shift]
        assert max(r.strength for r in results if r.condition == "along x") == 8.0


@pytest.mark.parametrize("size", scale.CURVE.strengths)
def test_sizes_are_factors(size):
    scaled = scale.examples(PIXELS)[f"{size:g} times the original"]
    np.testing.assert_allclose(scaled, scipy_affine(PIXELS, size * np.eye(2)), atol=LEVEL)


@pytest.mark.parametrize("slant", shear.CURVE.strengths)
def test_a_shear_moves_rows_against_each_other(slant):
    sheared = shear.examples(PIXELS)[f"{slant:g} pixels per row"]
    expected = scipy_affine(PIXELS, np.array([[1.0, -slant], [0.0, 1.0]]))
    np.testing.assert_allclose(sheared, expected, atol=LEVEL)


def test_a_positive_shear_leans_to_the_right():
    dot = np.zeros((1, 28, 28, 1), np.float32)
    dot[0, 4, 14] = 1.0  # 9.5 rows above the centre
    row = shear.examples(dot)["0.4 pixels per row"][0, 4, :, 0]
    assert np.sum(row * np.arange(28)) / row.sum() == pytest.approx(14 + 0.4 * 9.5, abs=0.01)


def in_larger_frame(images, size):
    border = (size - 28) // 2
    return np.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))


@jax.jit
@jax.vmap
def mapped(image, number):
    """In its frame, and by the same map in a frame with room all around."""
    matrix, shift = affine.draw(jax.random.fold_in(jax.random.key(SEED), number), image)
    wide = jnp.pad(image, ((20, 20), (20, 20), (0, 0)))
    return geometry.move(image, matrix, shift), geometry.move(wide, matrix, shift)


@pytest.mark.parametrize(("size", "lost"), [(28, 0.01), (40, 1e-5)])
def test_affine_maps_keep_the_ink_in_the_frame(size, lost):
    """All of it in affNIST's frames; in those of MNIST a few enlarged digits are too large."""
    images = in_larger_frame(PIXELS, size)
    framed, wide = mapped(jnp.asarray(images), jnp.arange(40))
    kept = np.asarray(framed.sum(axis=(1, 2, 3)) / wide.sum(axis=(1, 2, 3)))
    assert np.all(kept > 1.0 - lost)
    assert np.mean(kept > 1.0 - 1e-5) > 0.9
    shown = affine.examples(images)["affine"]
    np.testing.assert_allclose(shown, framed, atol=LEVEL)
    if size == 40:
        y, x = np.mgrid[:40, :40] - 19.5
        total = shown.sum(axis=(1, 2, 3))
        for axis in (x, y):
            centre = (shown[..., 0] * axis).sum(axis=(1, 2)) / total
            assert centre.max() > 6.0
            assert centre.min() < -6.0


@jax.jit
def drawn(image):
    keys = jax.vmap(jax.random.key)(jnp.arange(2000))
    return jax.vmap(lambda key: affine.draw(key, image))(keys)


def test_affine_maps_fill_their_ranges():
    dot = np.zeros((28, 28, 1), np.float32)
    dot[14, 14] = 1.0
    matrix, shift = drawn(dot)
    angle = np.rad2deg(np.arctan2(-matrix[:, 1, 0], matrix[:, 0, 0]))
    across = np.hypot(matrix[:, 0, 0], matrix[:, 1, 0])
    down = np.linalg.det(matrix) / across
    slant = np.sum(matrix[:, :, 0] * matrix[:, :, 1], axis=1) / across / down
    for values, low, high in (
        (angle, -20.0, 20.0),
        (across, 0.8, 1.2),
        (down, 0.8, 1.2),
        (slant, -0.2, 0.2),
    ):
        span = high - low
        assert low - 1e-4 <= values.min() < low + 0.01 * span
        assert high - 0.01 * span < values.max() <= high + 1e-4
        assert np.std(values) == pytest.approx(span / np.sqrt(12), rel=0.05)
    assert np.abs(shift).max() > 12.0


def test_an_image_without_room_is_centred():
    matrix, shift = drawn(np.ones((28, 28, 1), np.float32))
    larger = np.abs(matrix).sum(axis=2).min(axis=1) > 1.1
    assert larger.sum() > 200
    np.testing.assert_allclose(shift[larger], 0.0, atol=1e-4)


def test_a_perspective_puts_the_corners_where_the_noise_moves_them(monkeypatch):
    noise = np.array([[1.0, 0.5], [-0.5, 1.5], [-2.0, -1.0], [0.5, 1.0]])
    monkeypatch.setattr(jax.random, "normal", lambda key, shape: jnp.asarray(noise, jnp.float32))
    image = np.zeros((29, 41, 1), np.float32)
    image[14, 20] = 1.0
    tilted = np.asarray(jax.jit(perspective.CURVE.distort)(image, None, 3.0))[..., 0]
    corners = np.array([[-20.5, -14.5], [20.5, -14.5], [20.5, 14.5], [-20.5, 14.5]]) + 3.0 * noise
    # The diagonals of a quadrilateral meet where those of the rectangle do.
    first, second = corners[2] - corners[0], corners[3] - corners[1]
    along = np.linalg.solve(np.stack([first, -second], axis=1), corners[1] - corners[0])[0]
    y, x = np.mgrid[:29, :41]
    found = np.array([np.sum(tilted * (x - 20)), np.sum(tilted * (y - 14))]) / tilted.sum()
    np.testing.assert_allclose(found, corners[0] + along * first, atol=0.3)


def test_a_bend_reads_at_the_moved_control_points(monkeypatch):
    noise = np.random.default_rng(0).normal(size=(16, 2))
    monkeypatch.setattr(jax.random, "normal", lambda key, shape: jnp.asarray(noise, jnp.float32))
    y, x = np.mgrid[:31, :31] / 30.0
    ramps = jnp.asarray(np.stack([x, y], axis=-1), jnp.float32)
    bent = np.asarray(jax.jit(elastic.CURVE.distort)(ramps, None, 1.2))
    # The control points of 4 x 4 lie on the frame's corners and thirds, at -0.5, ..., 30.5; those
    # within the image are near the pixels 9.83 and 20.17.
    for row, column in ((1, 1), (1, 2), (2, 1), (2, 2)):
        at = np.array([column, row]) * 31.0 / 3.0 - 0.5
        read = 30.0 * scipy.ndimage.map_coordinates(bent[..., 0], at[::-1, None], order=1)[0]
        assert read == pytest.approx(at[0] + 1.2 * noise[4 * row + column, 0], abs=0.1)
        read = 30.0 * scipy.ndimage.map_coordinates(bent[..., 1], at[::-1, None], order=1)[0]
        assert read == pytest.approx(at[1] + 1.2 * noise[4 * row + column, 1], abs=0.1)


@pytest.mark.parametrize("suite", [perspective, elastic])
def test_stronger_noise_goes_further_the_same_way(suite):
    shown = suite.examples(PIXELS)
    distances = [np.abs(images - PIXELS).mean() for images in shown.values()]
    assert distances == sorted(distances)
    assert distances[0] == 0.0
    assert suite.CURVE.definition["seed"] == SEED


def test_brightness_is_added_and_contrast_stretched_about_the_mean():
    shown = brightness_and_contrast.examples(PIXELS)
    brighter = shown["brightness, 0.4 of the full range"]
    np.testing.assert_allclose(brighter, np.minimum(PIXELS + 0.4, 1.0), atol=LEVEL)
    darker = shown["brightness, -0.2 of the full range"]
    np.testing.assert_allclose(darker, np.maximum(PIXELS - 0.2, 0.0), atol=LEVEL)
    mean = PIXELS.mean(axis=(1, 2), keepdims=True)
    for factor in (0.1, 0.4, 2.0):
        expected = np.clip(mean + factor * (PIXELS - mean), 0.0, 1.0)
        found = shown[f"contrast, {factor:g} times the original"]
        np.testing.assert_allclose(found, expected, atol=LEVEL)
