"""Blurs, strokes, fog and spatters against slow references in NumPy and SciPy."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from evaluation.perturbations import blur, strokes, weather
from tests.evaluation.suites.digits import mnist

IMAGE = (mnist("test")[0][3] / np.float32(255.0))[:, :26]  # not square
KEY = jax.random.key(3)
zigzag = jax.jit(strokes.zigzag, static_argnums=0)


@pytest.mark.parametrize(("padding", "mode"), [("edge", "nearest"), ("constant", "constant")])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5])
def test_gaussians_are_those_of_scipy(sigma, padding, mode):
    noise = np.random.default_rng(0).uniform(size=(20, 13, 2)).astype(np.float32)
    expected = scipy.ndimage.gaussian_filter(noise, (sigma, sigma, 0.0), mode=mode)
    np.testing.assert_allclose(blur.gaussian(noise, sigma, padding), expected, atol=1e-6)


def test_swaps_are_made_one_after_another():
    turns = blur.positions((6, 5), 1, 2)
    # From the bottom right to the top left, without the first two rows and columns, twice.
    np.testing.assert_array_equal(turns[:3], [[5, 4], [5, 3], [5, 2]])
    assert (len(turns), turns[-1].tolist()) == (2 * 4 * 3, [2, 2])
    steps = np.random.default_rng(0).integers(-1, 1, turns.shape)
    image = np.arange(30, dtype=np.float32).reshape(6, 5, 1)
    expected = image.copy()
    for (row, column), (down, right) in zip(turns, steps, strict=True):
        kept = expected[row, column].copy()
        expected[row, column] = expected[row + down, column + right]
        expected[row + down, column + right] = kept
    np.testing.assert_array_equal(blur.swap(jnp.asarray(image), turns, steps), expected)


def test_glass_swaps_half_of_the_pixels_between_two_gaussians(monkeypatch):
    seen = []

    def swap(levels, turns, steps):
        seen.append(np.asarray(steps))
        return levels

    monkeypatch.setattr(blur, "swap", swap)
    found = blur.glass(jnp.asarray(IMAGE), KEY, 0.7, 1, 2)
    smooth = np.floor(255.0 * scipy.ndimage.gaussian_filter(IMAGE, (0.7, 0.7, 0.0), mode="nearest"))
    expected = scipy.ndimage.gaussian_filter(smooth / 255.0, (0.7, 0.7, 0.0), mode="nearest")
    np.testing.assert_allclose(found, expected, atol=0.02)  # a level may be rounded off
    assert set(np.unique(seen)) == {-1, 0}
    # Half of the pixels have their turn, and each step is -1 or 0.
    assert np.mean(seen) == pytest.approx(-0.25, abs=0.03)


@pytest.mark.parametrize("degrees", [-45.0, -10.0, 0.0, 30.0, 45.0])
def test_motion_reads_along_a_direction(degrees):
    expected = np.zeros(IMAGE.shape)
    weights = [math.exp(-0.5 * (k / 3.0) ** 2) for k in range(21)]
    height, width = IMAGE.shape[:2]
    for step, weight in enumerate(weights):
        right = math.ceil(step * math.cos(math.radians(degrees)) - 0.5)
        down = math.ceil(step * math.sin(math.radians(degrees)) - 0.5)
        for y, x in np.ndindex(height, width):
            row, column = min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)
            expected[y, x] += weight / sum(weights) * IMAGE[row, column]
    found = jax.jit(blur.motion, static_argnums=(2, 3))(IMAGE, degrees, 3.0, 10)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def stroke(size, c0, r0, c1, r1):
    """The brightness of MNIST-C's lines, pixel by pixel."""
    drawn = np.zeros(size)
    for row, column in np.ndindex(*size):
        if math.floor(c0) <= column < math.ceil(c1):
            away = abs(row - (r0 + (r1 - r0) / (c1 - c0) * (column - c0)))
            drawn[row, column] = max(math.log(1.0 - away / 2.3) + 1.0, 0.0) if away < 2.3 else 0.0
    return drawn


@pytest.mark.parametrize("ends", [(0.0, 3.0, 27.0, 20.0), (4.2, 9.0, 8.9, 5.5)])
def test_lines_fade_to_their_sides(ends):
    found = strokes.line((28, 28), jnp.array(ends[:2]), jnp.array(ends[2:]))
    np.testing.assert_allclose(found[..., 0], stroke((28, 28), *ends), atol=1e-5)
    assert not np.any(strokes.line((28, 28), jnp.array([3.0, 1.0]), jnp.array([3.0, 9.0])))


def test_a_dotted_line_has_every_other_pair_of_columns():
    found = np.asarray(strokes.dotted_line((28, 28), 2.0, 24.0))[..., 0]
    whole = stroke((28, 28), 0.0, 2.0, 27.0, 24.0)
    drawn = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26]  # the last column is blank
    np.testing.assert_allclose(found[:, drawn], whole[:, drawn], atol=1e-5)
    assert not np.delete(found, drawn, axis=1).any()


@pytest.mark.parametrize("rise", [-5, 0, 4])
def test_a_zigzag_turns_six_times(rise):
    theta = math.atan(rise / 23)
    length = 23 / math.cos(theta)
    bends = [(0.0, 0.0), *((4 * k + 2, 2 * (-1) ** k) for k in range(6))]
    bends.append((length, -2 / (2 * (length - 20))))
    points = [
        (
            2 + c * math.cos(theta) - r * math.sin(theta),
            12 + c * math.sin(theta) + r * math.cos(theta),
        )
        for c, r in bends
    ]
    total = sum(stroke((28, 28), *start, *end) for start, end in itertools.pairwise(points))
    found = zigzag((28, 28), 12.0, 12.0 + rise)
    np.testing.assert_allclose(found[..., 0], np.minimum(total, 1.0), atol=1e-4)


@pytest.mark.parametrize("width", [8, 33, 60])
def test_zigzags_of_other_frames_stay_near_their_line(width):
    rows = np.flatnonzero(np.asarray(zigzag((28, width), 14.0, 14.0)).any(axis=(1, 2)))
    assert 9 <= rows.min() <= rows.max() <= 19


def doubled(heights, noise):
    """Diamond-square by loops over points."""
    size = len(heights)
    found = np.zeros((2 * size, 2 * size))
    found[::2, ::2] = heights
    for y, x in np.ndindex(size, size):
        corners = [heights[(y + i) % size, (x + j) % size] for i in (0, 1) for j in (0, 1)]
        found[2 * y + 1, 2 * x + 1] = np.mean(corners) + noise[0, y, x]
    for y, x in np.ndindex(size, size):
        for row, column, more in ((2 * y, 2 * x + 1, noise[1]), (2 * y + 1, 2 * x, noise[2])):
            steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
            around = [found[(row + i) % (2 * size), (column + j) % (2 * size)] for i, j in steps]
            found[row, column] = np.mean(around) + more[y, x]
    return found


def test_a_map_doubles_by_midpoints():
    random = np.random.default_rng(0)
    heights, noise = random.normal(size=(4, 4)), random.normal(size=(3, 4, 4))
    found = weather.doubled(jnp.asarray(heights), jnp.asarray(noise))
    np.testing.assert_allclose(found, doubled(heights, noise), atol=1e-5)


def test_the_corner_is_that_of_the_whole_map(monkeypatch):
    """The noise of a doubling falls by the square of the decay; here the last two have none."""
    count, uniform = 3 * (4**6 - 1) // 3, jax.random.uniform
    monkeypatch.setattr(
        jax.random, "uniform", lambda *of, **limits: uniform(*of, **limits).at[count:].set(0.0)
    )
    numbers = np.asarray(uniform(KEY, (count + 3 * (10**2 + 16**2),), minval=-1.0))[:count]
    whole = np.zeros((1, 1))
    for level in range(6):
        size = len(whole) ** 2
        noise, numbers = numbers[: 3 * size].reshape(3, *whole.shape), numbers[3 * size :]
        whole = doubled(whole, noise / 1.4 ** (2 * level))
    low, high = whole.min(), whole.max()
    for _ in range(2):
        whole = doubled(whole, np.zeros((3, *whole.shape)))
    found = jax.jit(lambda: weather.plasma(KEY, (28, 23), 1.4))()
    np.testing.assert_allclose(found, (whole[:28, :23] - low) / (high - low), atol=1e-5)


def test_fog_keeps_the_brightest_grey_in_reach():
    plasma = functools.partial(weather.plasma, size=IMAGE.shape[:2], decay=1.4)
    found, layer = jax.jit(lambda key: (weather.fog(IMAGE, key, 3.0, 1.4), plasma(key)))(KEY)
    most = IMAGE.max()
    expected = (IMAGE + 3.0 * layer[..., None]) * most / (most + 3.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.max() <= 1.02 * most


def test_spatters_cover_what_is_below():
    noise = np.random.default_rng(2).normal(0.65, 0.3, IMAGE.shape).astype(np.float32)
    smooth = scipy.ndimage.gaussian_filter(noise, (1.0, 1.0, 0.0), mode="nearest")
    spots = (smooth > 0.65).astype(float)
    soft = scipy.ndimage.gaussian_filter(spots, (1.5, 1.5, 0.0), mode="nearest")
    soft[soft < 0.8] = 0.0
    assert soft.any()
    expected = IMAGE * (1.0 - soft) + 63.0 / 255.0 * soft
    np.testing.assert_allclose(weather.spatter(IMAGE, noise), expected, atol=1e-5)
