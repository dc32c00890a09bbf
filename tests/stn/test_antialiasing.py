import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from stn import affine_grid, sample, sample_mipmapped, sample_supersampled, transforms

EYE = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
# Compiled at once, which takes far less time than one operation after the other.
supersampled = jax.jit(sample_supersampled, static_argnames=("factor", "padding", "align_corners"))
mipmapped = jax.jit(sample_mipmapped, static_argnames=("levels", "padding", "align_corners"))
plain = jax.jit(sample, static_argnames=("padding", "align_corners"))
SHRINKING_BY_4 = [
    pytest.param(functools.partial(supersampled, factor=4), id="supersampled"),
    pytest.param(functools.partial(mipmapped, levels=4), id="mipmapped"),
]
both_corners = pytest.mark.parametrize("corners", [False, True])


def shrinking_theta(size, out, corners, factor=4.0):
    """The map about the middle that steps by `factor` pixels from one output pixel to the next."""
    frames = [
        (out_n - corners) * factor / (n - corners) for n, out_n in zip(size, out, strict=True)
    ]
    return np.array([[[frames[1], 0, 0], [0, frames[0], 0]]], np.float32)


@pytest.mark.parametrize("run", SHRINKING_BY_4)
@both_corners
@pytest.mark.parametrize("size", [(64, 64), (61, 50)], ids=str)
def test_constant_images_stay_constant_inside(run, corners, size):
    theta = shrinking_theta(size, (9, 8), corners)
    out = run(
        jnp.ones((1, *size, 2)),
        affine_grid(theta, (9, 8), align_corners=corners),
        align_corners=corners,
    )
    np.testing.assert_allclose(out, np.ones(out.shape), atol=1e-5)


@pytest.mark.parametrize("run", SHRINKING_BY_4)
@both_corners
@pytest.mark.parametrize("pattern", ["stripes", "checkerboard"])
def test_fine_patterns_turn_grey_and_alias_without(run, corners, pattern):
    rows, columns = np.mgrid[0:64, 0:64]
    pixels = columns % 2 if pattern == "stripes" else (rows + columns) % 2
    images = jnp.asarray(pixels, jnp.float32)[None, :, :, None]
    # Half a pixel off the middle, where a plain read would average by luck.
    half = 1.0 / (64 - corners)
    theta = shrinking_theta((64, 64), (12, 12), corners)
    theta[0, :, 2] = half
    grid = affine_grid(theta, (12, 12), align_corners=corners)
    aliased = np.asarray(plain(images, grid, align_corners=corners))
    assert np.abs(aliased - 0.5).min() > 0.49
    np.testing.assert_allclose(
        run(images, grid, align_corners=corners), 0.5 * np.ones(aliased.shape), atol=1e-4
    )


@pytest.mark.parametrize("padding", ["zeros", "border"])
@both_corners
def test_without_averaging_it_is_the_sampler(padding, corners):
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 7, 9, 3)).astype(np.float32)
    grid = random.uniform(-1.5, 1.5, (2, 5, 4, 2)).astype(np.float32)
    options = {"padding": padding, "align_corners": corners}
    expected = plain(images, grid, **options)
    np.testing.assert_array_equal(supersampled(images, grid, factor=1, **options), expected)
    np.testing.assert_array_equal(mipmapped(images, grid, levels=1, **options), expected)
    # At the image's own size or larger, every point is on level 0.
    near = affine_grid(np.repeat(0.9 * EYE, 2, 0), (7, 9), align_corners=corners)
    np.testing.assert_allclose(
        mipmapped(images, near, levels=3, **options),
        plain(images, near, **options),
        atol=5e-6,  # a pixel's place is rounded, and pixels differ by some units
    )


@pytest.mark.parametrize("run", SHRINKING_BY_4)
@both_corners
@pytest.mark.parametrize(("size", "factor"), [((64, 64), 4.0), ((63, 65), 2.7)], ids=str)
def test_ramps_are_reproduced_and_so_nothing_is_shifted(run, corners, size, factor):
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    ramp = jnp.asarray(1.0 + 0.3 * columns - 0.2 * rows)[None, :, :, None]
    theta = shrinking_theta(size, (10, 11), corners, factor)
    theta[0, 0, 1] = 0.05
    grid = affine_grid(theta, (10, 11), align_corners=corners)
    x, y = (
        (grid[..., k] + 1) * (n - corners) / 2 - (not corners) / 2 for k, n in enumerate(size[::-1])
    )
    out = run(ramp, grid, align_corners=corners)[..., 0]
    np.testing.assert_allclose(out, 1.0 + 0.3 * x - 0.2 * y, atol=1e-3)


@pytest.mark.parametrize("run", SHRINKING_BY_4)
@both_corners
def test_the_centre_of_mass_stays_where_it_is(run, corners):
    points = np.stack(np.mgrid[0:64, 0:64], axis=-1)
    blob = np.exp(-np.sum((points - np.array([29.0, 36.5])) ** 2, axis=-1) / 50.0)
    grid = affine_grid(
        shrinking_theta((64, 64), (16, 16), corners), (16, 16), align_corners=corners
    )
    out = run(jnp.asarray(blob, jnp.float32)[None, :, :, None], grid, align_corners=corners)
    mass = np.asarray(out[0, :, :, 0]) / out.sum()
    centre = [(mass * axis).sum() for axis in np.mgrid[0:16, 0:16]]
    # Four pixels a step about the middle, 31.5 in the image and 7.5 in the output.
    expected = (np.array([29.0, 36.5]) - 31.5) / 4 + 7.5
    np.testing.assert_allclose(centre, expected, atol=0.01)


def test_levels_between_are_mixed():
    # A pixel in 64 is bright: level n has 4**-n of it where it is read.
    images = jnp.zeros((1, 64, 64, 1)).at[0, 32, 32].set(1.0)
    theta = shrinking_theta((64, 64), (4, 4), False, 2.0**1.5)
    grid = affine_grid(theta, (4, 4))
    mixed = mipmapped(images, grid, levels=4)
    pyramid = [images.reshape(1, 64 // n, n, 64 // n, n, 1).mean((2, 4)) for n in (2, 4)]
    expected = sum(plain(level, grid) for level in pyramid) / 2
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    assert mixed.max() > 0


@pytest.mark.parametrize("run", SHRINKING_BY_4)
@both_corners
@pytest.mark.parametrize("transform", [transforms.Affine(), transforms.ThinPlateSpline()], ids=repr)
def test_gradients_at_the_identity_are_finite_and_not_zero(run, corners, transform):
    random = np.random.default_rng(0)
    images = random.normal(size=(1, 16, 16, 1)).astype(np.float32)
    target = random.normal(size=(1, 8, 8, 1)).astype(np.float32)

    def loss(theta):
        grid = transform.grid(theta, (8, 8), align_corners=corners)
        return jnp.sum(run(images, grid, align_corners=corners) * target)

    gradient = jax.jit(jax.grad(loss))(jnp.asarray(transform.identity, jnp.float32)[None])
    assert np.all(np.isfinite(gradient))
    assert np.all(np.abs(gradient) > 1e-5)


@pytest.mark.parametrize("run", SHRINKING_BY_4)
def test_points_that_are_not_numbers_and_single_points_are_read(run):
    grid = jnp.full((1, 3, 3, 2), 0.1).at[0, 1, 1].set(jnp.nan)
    out = run(jnp.ones((1, 8, 8, 1)), grid)
    # Its neighbours are read as if it were not there.
    np.testing.assert_allclose(out[0, :, :, 0], [[1, 1, 1], [1, 0, 1], [1, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(run(jnp.ones((1, 8, 8, 1)), jnp.zeros((1, 1, 1, 2))), [[[[1.0]]]])


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (functools.partial(sample_supersampled, factor=0), "factor=0"),
        (functools.partial(sample_mipmapped, levels=0), "levels=0"),
        (functools.partial(sample_mipmapped, levels=2, padding="reflection"), "reflection"),
    ],
)
def test_what_cannot_be_is_an_error(run, message):
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=message):
        run(jnp.zeros((1, 4, 4, 1)), jnp.zeros((1, 2, 2, 2)))


def test_volumes_are_supersampled_along_every_axis():
    volumes = np.random.default_rng(0).uniform(size=(2, 8, 4, 6, 1)).astype(np.float32)
    theta = np.tile(np.eye(3, 4, dtype=np.float32).reshape(1, -1), (2, 1))
    grid = transforms.Affine(dims=3).grid(theta, (4, 2, 3))
    blocks = volumes.reshape(2, 4, 2, 2, 2, 3, 2, 1).mean((2, 4, 6))
    np.testing.assert_allclose(supersampled(volumes, grid, factor=2), blocks, atol=1e-5)
