import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads

from stn import affine_grid, identity_grid, sample
from stn.sampling import METHODS, PADDINGS
from tests.stn import reference

MODES = [
    pytest.param(method, padding, corners, id=f"{method}-{padding}-{corners}")
    for method in METHODS
    for padding in PADDINGS
    for corners in (False, True)
]
EYE = jnp.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
EYE_3D = jnp.eye(3, 4)[None]


def images_and_grid(seed=0, spatial=(5, 7), out=(4, 6), channels=2, reach=1.8, batch=2):
    """Random images, and points of which about half lie outside of them."""
    random = np.random.default_rng(seed)
    images = random.normal(size=(batch, *spatial, channels)).astype(np.float32)
    grid = random.uniform(-reach, reach, (batch, *out, len(spatial))).astype(np.float32)
    return jnp.asarray(images), jnp.asarray(grid)


@pytest.mark.parametrize(("method", "padding", "corners"), MODES)
@pytest.mark.parametrize("spatial", [(5, 7), (1, 6), (3, 4, 5), (2, 1, 4)], ids=str)
def test_matches_the_slow_reference(method, padding, corners, spatial):
    if method == "bicubic" and len(spatial) == 3:
        pytest.skip("bicubic is for images")
    images, grid = images_and_grid(spatial=spatial, out=(3,) * len(spatial))
    options = {"method": method, "padding": padding, "align_corners": corners}
    expected = reference.sample(
        np.asarray(images, np.float64), np.asarray(grid, np.float64), method, padding, corners
    )
    np.testing.assert_allclose(sample(images, grid, **options), expected, atol=2e-5)


@pytest.mark.parametrize(("method", "padding", "corners"), MODES)
@pytest.mark.parametrize("spatial", [(5, 7), (3, 4, 5)], ids=str)
def test_matches_pytorch_in_value_and_both_gradients(method, padding, corners, spatial):
    torch = pytest.importorskip("torch")
    if method == "bicubic" and len(spatial) == 3:
        pytest.skip("bicubic is for images")
    images, grid = images_and_grid(spatial=spatial, out=(4,) * len(spatial))
    weights = np.random.default_rng(1).normal(size=(2, *grid.shape[1:-1], 2)).astype(np.float32)

    def loss(images, grid):
        out = sample(images, grid, method=method, padding=padding, align_corners=corners)
        return jnp.sum(out * weights), out

    gradients, ours = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(images, grid)
    their_images = torch.tensor(np.moveaxis(np.asarray(images), -1, 1), requires_grad=True)
    their_grid = torch.tensor(np.asarray(grid), requires_grad=True)
    theirs = torch.nn.functional.grid_sample(
        their_images, their_grid, mode=method, padding_mode=padding, align_corners=corners
    )
    theirs.backward(torch.tensor(np.moveaxis(weights, -1, 1)))
    np.testing.assert_allclose(ours, np.moveaxis(theirs.detach().numpy(), 1, -1), atol=1e-5)
    np.testing.assert_allclose(
        gradients[0], np.moveaxis(their_images.grad.numpy(), 1, -1), atol=1e-5
    )
    np.testing.assert_allclose(gradients[1], their_grid.grad.numpy(), atol=3e-5)


@pytest.mark.parametrize(
    ("padding", "corners", "mode"),
    [
        ("zeros", False, "grid-constant"),
        ("zeros", True, "grid-constant"),
        ("border", False, "nearest"),
        ("border", True, "nearest"),
        ("reflection", True, "mirror"),
        ("reflection", False, "reflect"),
    ],
)
@pytest.mark.parametrize("spatial", [(5, 7), (3, 4, 5)], ids=str)
def test_bilinear_matches_scipy(padding, corners, mode, spatial):
    images, grid = images_and_grid(spatial=spatial, out=(4,) * len(spatial), channels=1)
    ours = sample(images, grid, padding=padding, align_corners=corners)
    for image, points, out in zip(
        np.asarray(images, np.float64), np.asarray(grid, np.float64), ours, strict=True
    ):
        coordinates = [
            reference.to_pixel(points[..., len(spatial) - 1 - axis], size, corners)
            for axis, size in enumerate(spatial)
        ]
        expected = scipy.ndimage.map_coordinates(image[..., 0], coordinates, order=1, mode=mode)
        np.testing.assert_allclose(out[..., 0], expected, atol=1e-5)


@pytest.mark.parametrize(("method", "padding", "corners"), MODES)
@pytest.mark.parametrize("spatial", [(6, 6), (5, 5), (4, 9), (7, 2)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_identity_returns_the_image(method, padding, corners, spatial, channels):
    images, _ = images_and_grid(spatial=spatial, channels=channels, batch=1)
    grid = affine_grid(EYE, spatial, align_corners=corners)
    out = sample(images, grid, method=method, padding=padding, align_corners=corners)
    np.testing.assert_allclose(out, images, atol=1e-5)


@pytest.mark.parametrize("corners", [False, True])
def test_the_identity_returns_the_volume(corners):
    volumes, _ = images_and_grid(spatial=(3, 4, 5), batch=1)
    grid = affine_grid(EYE_3D, (3, 4, 5), align_corners=corners)
    np.testing.assert_allclose(sample(volumes, grid, align_corners=corners), volumes, atol=1e-5)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
def test_the_gradient_at_the_identity_is_finite_and_not_zero(corners, padding):
    images, _ = images_and_grid(spatial=(9, 8), batch=1)
    target, _ = images_and_grid(seed=1, spatial=(9, 8), batch=1)

    def loss(theta):
        grid = affine_grid(theta, (9, 8), align_corners=corners)
        return jnp.sum(sample(images, grid, padding=padding, align_corners=corners) * target)

    gradient = jax.grad(loss)(EYE)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.abs(gradient) > 1e-3)


def read(values, x, **options):
    """One row of pixels read at the pixel positions x."""
    values = jnp.asarray(values, jnp.float32)
    size = len(values)
    coordinates = (2 * jnp.asarray(x, jnp.float32) + 1) / size - 1
    grid = jnp.stack([coordinates, jnp.zeros_like(coordinates)], axis=-1)[None, None]
    return sample(values[None, None, :, None], grid, **options)[0, 0, :, 0]


def test_zeros_fade_in_over_the_last_pixel():
    np.testing.assert_allclose(
        read([1, 1, 1, 1], [-2, -1, -0.5, -0.25, 0, 3, 3.5, 4, 9]),
        [0, 0, 0.5, 0.75, 1, 1, 0.5, 0, 0],
        atol=1e-6,
    )
    corner = jnp.array([[[[-1.0, -1.0]]]])  # half a pixel outside of a 4x4 image, both ways
    np.testing.assert_allclose(sample(jnp.ones((1, 4, 4, 1)), corner), [[[[0.25]]]], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("padding", ["border", "reflection"])
@pytest.mark.parametrize("corners", [False, True])
def test_ones_stay_ones_everywhere(method, padding, corners):
    _, grid = images_and_grid(out=(8, 8), reach=50.0)
    out = sample(
        jnp.ones((2, 5, 7, 1)), grid, method=method, padding=padding, align_corners=corners
    )
    np.testing.assert_allclose(out, np.ones(out.shape), atol=1e-5)


def test_reflection_is_about_centres_or_edges():
    ramp = jnp.arange(5.0)[None, None, :, None]

    def at(pixel, corners):
        x = pixel / 2 - 1 if corners else (2 * pixel + 1) / 5 - 1
        grid = jnp.array([[[[x, -1.0 if corners else 0.0]]]])
        return float(sample(ramp, grid, padding="reflection", align_corners=corners)[0, 0, 0, 0])

    assert at(-1.2, True) == pytest.approx(1.2, abs=1e-5)
    assert at(-1.2, False) == pytest.approx(0.2, abs=1e-5)
    assert at(5.2, True) == pytest.approx(2.8, abs=1e-5)
    assert at(4.7, False) == pytest.approx(4.0, abs=1e-5)


def test_nearest_rounds_half_to_even():
    np.testing.assert_array_equal(
        read([10, 11, 12, 13], [0.5, 1.5, 2.5, 0.4, 2.6], method="nearest"), [10, 12, 12, 10, 13]
    )


@pytest.mark.parametrize(("method", "padding", "corners"), MODES)
def test_no_coordinate_reads_outside_of_memory(method, padding, corners):
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, 0.0], np.float32)
    grid = jnp.asarray(np.stack(np.meshgrid(wild, wild), axis=-1))[None]
    images = jnp.ones((1, 5, 7, 1))
    options = {"method": method, "padding": padding, "align_corners": corners}
    out = np.asarray(sample(images, grid, **options))
    assert np.all(np.isfinite(out))
    assert np.all((out > -1e-5) & (out < 1 + 1e-5))
    gradient = jax.grad(lambda i: jnp.sum(sample(i, grid, **options)))(images)
    assert np.all(np.isfinite(gradient))
    if padding == "zeros":
        assert np.all(out[0, :3] == 0)
        assert np.all(out[0, :, :3] == 0)


@pytest.mark.parametrize("corners", [False, True])
def test_whole_pixel_shifts_roll_and_half_pixels_average(corners):
    images, _ = images_and_grid(spatial=(6, 8), batch=1)
    step = 2 / 7 if corners else 2 / 8

    def shifted(pixels):
        theta = EYE.at[0, 0, 2].set(pixels * step)
        grid = affine_grid(theta, (6, 8), align_corners=corners)
        return sample(images, grid, align_corners=corners)

    # A positive shift moves the content left.
    np.testing.assert_allclose(shifted(2)[:, :, :6], images[:, :, 2:], atol=1e-5)
    np.testing.assert_allclose(shifted(2)[:, :, 6:], np.zeros((1, 6, 2, 2)), atol=1e-5)
    halves = (images[:, :, 1:] + images[:, :, :-1]) / 2
    np.testing.assert_allclose(shifted(0.5)[:, :, :7], halves, atol=1e-5)


def test_a_ramp_is_reproduced_under_any_affine_map():
    rows, columns = np.mgrid[0:20, 0:24].astype(np.float32)
    ramp = jnp.asarray(1.0 + 0.3 * columns - 0.2 * rows)[None, :, :, None]
    theta = jnp.array([[[0.4, -0.2, 0.1], [0.15, 0.5, -0.05]]])
    grid = affine_grid(theta, (9, 11))
    x = ((grid[..., 0] + 1) * 24 - 1) / 2
    y = ((grid[..., 1] + 1) * 20 - 1) / 2
    out = sample(ramp, grid)[..., 0]
    np.testing.assert_allclose(out, 1.0 + 0.3 * x - 0.2 * y, atol=1e-4)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_gradients_match_finite_differences(method, padding):
    with jax.enable_x64(True):
        random = np.random.default_rng(0)
        images = jnp.asarray(random.normal(size=(1, 5, 6, 2)))
        # Points a third of the way between pixels, inside and outside.
        pixels = random.integers(-4, 9, (1, 7, 2)) + 1 / 3
        grid = jnp.asarray((2 * pixels + 1) / np.array([6, 5]) - 1)[:, None]

        def run(images, grid):
            return sample(jnp.asarray(images), jnp.asarray(grid), method=method, padding=padding)

        check_grads(run, (images, grid), order=2, modes=["fwd", "rev"], eps=1e-5)


def test_sampling_is_linear_and_its_transpose_is_its_gradient():
    first, grid = images_and_grid()
    second, _ = images_and_grid(seed=1)
    run = functools.partial(sample, grid=grid)
    np.testing.assert_allclose(
        run(2 * first - 3 * second), 2 * run(first) - 3 * run(second), atol=1e-4
    )
    out, transpose = jax.vjp(run, first)
    weights = jax.random.normal(jax.random.key(0), out.shape)
    np.testing.assert_allclose(
        jnp.sum(out * weights), jnp.sum(first * transpose(weights)[0]), rtol=1e-4
    )


def test_vmap_equals_loop_and_jit_equals_eager():
    images, grid = images_and_grid()
    eager = sample(images, grid)
    np.testing.assert_allclose(jax.jit(sample)(images, grid), eager, atol=1e-6)
    alone = [sample(images[k : k + 1], grid[k : k + 1])[0] for k in range(2)]
    np.testing.assert_allclose(jnp.stack(alone), eager, atol=1e-6)
    mapped = jax.vmap(lambda i, g: sample(i[None], g[None])[0])(images, grid)
    np.testing.assert_allclose(mapped, eager, atol=1e-6)


def test_types():
    images, grid = images_and_grid()
    assert sample(images.astype(jnp.bfloat16), grid).dtype == jnp.bfloat16
    assert sample(jnp.ones((2, 5, 7, 1), jnp.uint8), grid).dtype == jnp.float32
    # Coordinates are kept in float32: bfloat16 would be a tenth of a pixel off.
    rough = sample(images.astype(jnp.bfloat16), affine_grid(jnp.repeat(EYE, 2, 0), (5, 7)))
    np.testing.assert_array_equal(rough, images.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("shape", "points", "options", "message"),
    [
        ((1, 5, 7, 1), (1, 4, 4, 3), {}, "do not fit together"),
        ((1, 5, 7, 1), (2, 4, 4, 2), {}, "do not fit together"),
        ((5, 7, 1), (5, 4, 1), {}, "do not fit together"),
        ((1, 5, 7, 1), (1, 4, 4, 2), {"method": "cubic"}, "method='cubic'"),
        ((1, 5, 7, 1), (1, 4, 4, 2), {"padding": "wrap"}, "padding='wrap'"),
        ((1, 3, 5, 7, 1), (1, 2, 2, 2, 3), {"method": "bicubic"}, "is for images"),
    ],
)
def test_what_does_not_fit_is_an_error(shape, points, options, message):
    # Where shapes are checked at run time, as here, that check may come first.
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=f"{message}|Type-check error"):
        sample(jnp.zeros(shape), jnp.zeros(points), **options)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior has changed")
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("size", [(4, 6), (1, 3), (3, 4, 5)], ids=str)
def test_affine_grid_matches_pytorch(corners, size):
    torch = pytest.importorskip("torch")
    theta = np.random.default_rng(0).normal(size=(2, len(size), len(size) + 1)).astype(np.float32)
    theirs = torch.nn.functional.affine_grid(
        torch.tensor(theta), [2, 1, *size], align_corners=corners
    )
    ours = affine_grid(jnp.asarray(theta), size, align_corners=corners)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_grids_are_read_x_first():
    grid = identity_grid((2, 3))
    np.testing.assert_allclose(grid[0, :, 0], [-2 / 3, 0, 2 / 3], atol=1e-12)
    np.testing.assert_allclose(grid[:, 0, 1], [-0.5, 0.5])
    np.testing.assert_allclose(identity_grid((2, 3), align_corners=True)[1, 2], [1.0, 1.0])


def test_theta_and_size_must_fit():
    with pytest.raises(ValueError, match="do not fit together"):
        affine_grid(EYE, (3, 4, 5))
    with pytest.raises(ValueError, match="do not fit together"):
        affine_grid(EYE_3D, (3, 4))
