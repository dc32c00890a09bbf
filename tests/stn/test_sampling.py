import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads

from stn import affine_grid, identity_grid, sample, sampling
from stn.sampling.taps import METHODS, PADDINGS
from tests.stn import reference

MODES = [
    pytest.param(method, padding, corners, id=f"{method}-{padding}-{corners}")
    for method in METHODS
    for padding in PADDINGS
    for corners in (False, True)
]
# Bicubic is for images and not for volumes. Taps are found axis by axis, so that volumes, of which
# the lowerings see more axes, need no more than one convention each.
SPATIAL_MODES = [
    pytest.param(spatial, *mode.values, id=f"{spatial}-{mode.id}")
    for spatial, conventions in (
        ((5, 7), (False, True)),
        ((1, 6), (False, True)),
        ((3, 4, 5), (False,)),
        ((2, 1, 4), (True,)),
    )
    for mode in MODES
    if mode.values[2] in conventions and (len(spatial) == 2 or mode.values[0] != "bicubic")
]
EYE = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
EYE_3D = np.eye(3, 4, dtype=np.float32)[None]

# Compiled at once, which takes far less time than one operation after the other.
compiled = jax.jit(sample, static_argnames=("method", "padding", "align_corners", "lowering"))


def lowerings_of(method):
    return sampling.LOWERINGS if method == "bilinear" else ("auto", "gather", "matmul")


def lowerings_to_read(method, corners):
    """All with one convention, which decides where taps are and not how they are summed."""
    return ("auto",) if corners else lowerings_of(method)


def images_and_grid(seed=0, spatial=(5, 7), out=(4, 6), channels=2, reach=1.8, batch=2):
    """Random images, and points of which about half lie outside of them."""
    random = np.random.default_rng(seed)
    images = random.normal(size=(batch, *spatial, channels)).astype(np.float32)
    grid = random.uniform(-reach, reach, (batch, *out, len(spatial))).astype(np.float32)
    return jnp.asarray(images), jnp.asarray(grid)


@pytest.mark.parametrize(("spatial", "method", "padding", "corners"), SPATIAL_MODES)
def test_matches_the_slow_reference(spatial, method, padding, corners):
    images, grid = images_and_grid(spatial=spatial, out=(3,) * len(spatial))
    options = {"method": method, "padding": padding, "align_corners": corners}
    expected = reference.sample(
        np.asarray(images, np.float64), np.asarray(grid, np.float64), method, padding, corners
    )
    names = lowerings_to_read(method, corners)
    run = jax.jit(lambda *a: [sample(*a, **options, lowering=name) for name in names])
    for out in run(images, grid):
        np.testing.assert_allclose(out, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("spatial", "method", "padding", "corners"),
    [case for case in SPATIAL_MODES if 1 not in case.values[0]],
)
def test_matches_pytorch_in_value_and_both_gradients(spatial, method, padding, corners):
    torch = pytest.importorskip("torch")
    images, grid = images_and_grid(spatial=spatial, out=(4,) * len(spatial))
    weights = np.random.default_rng(1).normal(size=(2, *grid.shape[1:-1], 2)).astype(np.float32)

    options = {"method": method, "padding": padding, "align_corners": corners}

    @jax.jit
    def run(images, grid):
        def loss(images, grid, lowering):
            out = sample(images, grid, **options, lowering=lowering)
            return jnp.sum(out * weights), out

        gradient = jax.grad(loss, (0, 1), has_aux=True)
        return [gradient(images, grid, lowering) for lowering in lowerings_of(method)]

    their_images = torch.tensor(np.moveaxis(np.asarray(images), -1, 1), requires_grad=True)
    their_grid = torch.tensor(np.asarray(grid), requires_grad=True)
    theirs = torch.nn.functional.grid_sample(
        their_images, their_grid, mode=method, padding_mode=padding, align_corners=corners
    )
    theirs.backward(torch.tensor(np.moveaxis(weights, -1, 1)))
    for gradients, ours in run(images, grid):
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
    ours = compiled(images, grid, padding=padding, align_corners=corners)
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
def test_the_identity_returns_the_image(method, padding, corners):
    # Even and odd heights and widths; one channel and several.
    images = [
        images_and_grid(spatial=spatial, channels=channels, batch=1)[0]
        for spatial, channels in [((7, 2), 1), ((4, 9), 3)]
    ]

    @jax.jit
    def run(images, theta):
        grids = [affine_grid(theta, one.shape[1:3], align_corners=corners) for one in images]
        return [
            sample(*pair, method=method, padding=padding, align_corners=corners)
            for pair in zip(images, grids, strict=True)
        ]

    for out, image in zip(run(images, EYE), images, strict=True):
        np.testing.assert_allclose(out, image, atol=1e-5)


@pytest.mark.parametrize("corners", [False, True])
def test_the_identity_returns_the_volume(corners):
    volumes, _ = images_and_grid(spatial=(3, 4, 5), batch=1)
    grid = affine_grid(EYE_3D, (3, 4, 5), align_corners=corners)
    np.testing.assert_allclose(compiled(volumes, grid, align_corners=corners), volumes, atol=1e-5)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
def test_the_gradient_at_the_identity_is_finite_and_not_zero(corners, padding):
    images, _ = images_and_grid(spatial=(9, 8), batch=1)
    target, _ = images_and_grid(seed=1, spatial=(9, 8), batch=1)

    @jax.jit
    @jax.grad
    def gradient_at(theta):
        grid = affine_grid(theta, (9, 8), align_corners=corners)
        return jnp.sum(sample(images, grid, padding=padding, align_corners=corners) * target)

    gradient = gradient_at(EYE)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.abs(gradient) > 1e-3)


def read(values, x, **options):
    """One row of pixels read at the pixel positions x."""
    values = jnp.asarray(values, jnp.float32)
    size = len(values)
    coordinates = (2 * jnp.asarray(x, jnp.float32) + 1) / size - 1
    grid = jnp.stack([coordinates, jnp.zeros_like(coordinates)], axis=-1)[None, None]
    return compiled(values[None, None, :, None], grid, **options)[0, 0, :, 0]


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
    out = compiled(
        jnp.ones((2, 5, 7, 1)), grid, method=method, padding=padding, align_corners=corners
    )
    np.testing.assert_allclose(out, np.ones(out.shape), atol=1e-5)


def test_reflection_is_about_centres_or_edges():
    ramp = jnp.arange(5.0)[None, None, :, None]

    def at(pixel, corners):
        x = pixel / 2 - 1 if corners else (2 * pixel + 1) / 5 - 1
        grid = jnp.array([[[[x, -1.0 if corners else 0.0]]]])
        return float(compiled(ramp, grid, padding="reflection", align_corners=corners)[0, 0, 0, 0])

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

    @jax.jit
    def run(images, grid):
        def loss(images, lowering):
            out = sample(images, grid, **options, lowering=lowering)
            return jnp.sum(out), out

        gradient = jax.grad(loss, has_aux=True)
        return [gradient(images, lowering) for lowering in lowerings_to_read(method, corners)]

    for gradient, out in run(images, grid):
        assert np.all(np.isfinite(out))
        assert np.all((out > -1e-5) & (out < 1 + 1e-5))
        assert np.all(np.isfinite(gradient))
        if padding == "zeros":
            assert np.all(out[0, :3] == 0)
            assert np.all(out[0, :, :3] == 0)


@pytest.mark.parametrize("corners", [False, True])
def test_whole_pixel_shifts_roll_and_half_pixels_average(corners):
    images, _ = images_and_grid(spatial=(6, 8), batch=1)
    step = 2 / 7 if corners else 2 / 8

    def shifted(pixels):
        theta = EYE.copy()
        theta[0, 0, 2] = pixels * step
        grid = affine_grid(theta, (6, 8), align_corners=corners)
        return compiled(images, grid, align_corners=corners)

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
    out = compiled(ramp, grid)[..., 0]
    np.testing.assert_allclose(out, 1.0 + 0.3 * x - 0.2 * y, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "padding", "lowering", "channels", "order"),
    [
        *(("bilinear", padding, "gather", 2, 2) for padding in PADDINGS),
        # Of bicubic taps the padding moves whole positions, and no weight depends on it.
        ("bicubic", "zeros", "gather", 2, 1),
        ("bicubic", "border", "gather", 2, 1),
        ("bicubic", "reflection", "gather", 1, 2),
        # Others are compared with this one at the second order.
        ("bilinear", "zeros", "packed", 2, 1),
        ("bilinear", "reflection", "matmul", 2, 1),
        ("bilinear", "border", "auto", 1, 1),
    ],
)
def test_gradients_match_finite_differences(method, padding, lowering, channels, order):
    with jax.enable_x64(True):
        random = np.random.default_rng(0)
        images = jnp.asarray(random.normal(size=(1, 5, 6, channels)))
        # Points a third of the way between pixels, inside and outside.
        pixels = random.integers(-4, 9, (1, 7, 2)) + 1 / 3
        grid = jnp.asarray((2 * pixels + 1) / np.array([6, 5]) - 1)[:, None]

        # Not compiled as one: the cases share most of their single operations.
        def run(images, grid):
            options = {"method": method, "padding": padding, "lowering": lowering}
            return sample(jnp.asarray(images), jnp.asarray(grid), **options)

        check_grads(run, (images, grid), order=order, modes=["fwd", "rev"], eps=1e-5)


@pytest.mark.parametrize("spatial", [(5, 7), (3, 4, 5)], ids=str)
def test_every_lowering_has_the_same_derivatives_of_every_order(spatial):
    images, grid = images_and_grid(spatial=spatial, out=(4,) * len(spatial), channels=1)
    directions = images_and_grid(seed=1, spatial=spatial, out=(4,) * len(spatial), channels=1)

    def derivatives(lowering):
        def loss(images, grid):
            return jnp.sum(sample(images, grid, lowering=lowering) ** 2)

        gradient = jax.grad(loss, (0, 1))
        forward = jax.jvp(loss, (images, grid), directions)
        return gradient(images, grid), forward, jax.jvp(gradient, (images, grid), directions)

    expected, *others = jax.jit(
        lambda: [derivatives(name) for name in ("gather", "packed", "matmul", "auto")]
    )()
    for other in others:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max()),
            other,
            expected,
        )


def reads(backend, shape, method, derivatives=False):
    """Gathers and matrix products in the program for a backend."""

    def run(images, grid):
        if derivatives:
            return jax.vjp(lambda grid: sample(images, grid, method=method), grid)[0]
        return sample(images, grid, method=method)

    grid = jax.ShapeDtypeStruct((2, 3, 3, 2), jnp.float32)
    traced = jax.jit(run).trace(jax.ShapeDtypeStruct(shape, jnp.float32), grid)
    program = traced.lower(lowering_platforms=(backend,)).as_text()
    return program.count('"stablehlo.gather"('), program.count("stablehlo.dot_general")


@pytest.mark.parametrize(
    ("backend", "shape", "method", "values", "derivatives"),
    [
        ("cpu", (2, 28, 28, 1), "bilinear", (4, 0), (1, 0)),
        ("cpu", (2, 28, 28, 5), "bilinear", (4, 0), (4, 0)),
        ("cpu", (2, 28, 28, 1), "nearest", (1, 0), (1, 0)),
        ("tpu", (2, 64, 64, 1), "bilinear", (0, 2), (0, 2)),
        ("tpu", (2, 64, 64, 5), "bilinear", (0, 2), (0, 2)),
        ("tpu", (2, 64, 65, 1), "bilinear", (4, 0), (4, 0)),
        ("cuda", (2, 28, 28, 1), "bilinear", (4, 0), (4, 0)),
    ],
)
def test_the_lowering_follows_backend_and_shape(backend, shape, method, values, derivatives):
    assert reads(backend, shape, method) == values
    assert reads(backend, shape, method, derivatives=True) == derivatives


@pytest.mark.parametrize("shape", [(2, 64, 65, 1), (2, 64, 65, 5)])
def test_nothing_is_chosen_where_all_backends_take_the_same(shape):
    assert " cond[" not in str(jax.make_jaxpr(sample)(jnp.zeros(shape), jnp.zeros((2, 3, 3, 2))))


@pytest.mark.parametrize("channels", [1, 16])
def test_a_backward_pass_apart_saves_little_for_other_backends(channels):
    images, grid = images_and_grid(spatial=(28, 28), out=(28, 28), channels=channels)

    def saved(lowering):
        run = jax.jit(functools.partial(sample, lowering=lowering))
        return sum(leaf.nbytes for leaf in jax.tree.leaves(jax.vjp(run, images, grid)[1]))

    assert saved("auto") < 2 * saved("packed" if channels == 1 else "gather")


def test_packed_gradients_gather_once_and_values_four_times():
    images, grid = images_and_grid(channels=1)
    gathers = str(jax.make_jaxpr(sample)(images, grid)).count(" gather[")
    assert gathers == 4
    gradient = jax.jit(jax.grad(lambda grid: jnp.sum(sample(images, grid))))
    assert gradient.lower(grid).compile().as_text().count(" gather(") == 1


def test_matrix_products_leave_no_scatter_in_the_gradient():
    images, grid = images_and_grid()

    def compiled(lowering):
        gradient = jax.grad(lambda images: jnp.sum(sample(images, grid, lowering=lowering) ** 2))
        return str(jax.make_jaxpr(gradient)(images))

    assert "scatter" in compiled("gather")
    assert "scatter" not in compiled("matmul")
    assert "gather" not in compiled("matmul")


def test_sampling_is_linear_and_its_transpose_is_its_gradient():
    first, grid = images_and_grid()
    second, _ = images_and_grid(seed=1)
    run = functools.partial(compiled, grid=grid)
    np.testing.assert_allclose(
        run(2 * first - 3 * second), 2 * run(first) - 3 * run(second), atol=1e-4
    )
    out, transpose = jax.vjp(run, first)
    weights = jax.random.normal(jax.random.key(0), out.shape)
    np.testing.assert_allclose(
        jnp.sum(out * weights), jnp.sum(first * transpose(weights)[0]), rtol=1e-4
    )


@pytest.mark.parametrize("lowering", sampling.LOWERINGS)
def test_vmap_equals_loop_and_jit_equals_eager(lowering):
    images, grid = images_and_grid(channels=1)
    run = functools.partial(sample, lowering=lowering)
    eager = run(images, grid)
    np.testing.assert_allclose(jax.jit(run)(images, grid), eager, atol=1e-6)
    alone = [jax.jit(run)(images[k : k + 1], grid[k : k + 1])[0] for k in range(2)]
    np.testing.assert_allclose(np.stack(alone), eager, atol=1e-6)
    mapped = jax.jit(jax.vmap(lambda i, g: run(i[None], g[None])[0]))(images, grid)
    np.testing.assert_allclose(mapped, eager, atol=1e-6)


@pytest.mark.parametrize("lowering", sampling.LOWERINGS)
def test_types(lowering):
    images, grid = images_and_grid()
    run = functools.partial(compiled, lowering=lowering)
    assert run(images.astype(jnp.bfloat16), grid).dtype == jnp.bfloat16
    assert run(jnp.ones((2, 5, 7, 1), jnp.uint8), grid).dtype == jnp.float32
    # Coordinates are kept in float32: bfloat16 would be a tenth of a pixel off.
    rough = run(images.astype(jnp.bfloat16), affine_grid(np.repeat(EYE, 2, 0), (5, 7)))
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
        ((1, 5, 7, 1), (1, 4, 4, 2), {"lowering": "fast"}, "lowering='fast'"),
        (
            (1, 5, 7, 1),
            (1, 4, 4, 2),
            {"lowering": "packed", "method": "nearest"},
            "lowering='packed' is for method='bilinear'; take 'gather'",
        ),
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
