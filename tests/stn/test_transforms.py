import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from stn import identity_grid, sample
from stn.transforms import (
    Affine,
    Attention,
    BoundedAffine,
    ComposableTransform,
    DisplacementField,
    ExponentialAffine,
    FixedScaleAttention,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
)

PLANAR = [
    Translation(),
    Attention(),
    Similarity(),
    Affine(),
    ExponentialAffine(),
    BoundedAffine(largest_stretch=1.5, largest_shear=0.3),
    Projective(),
    ThinPlateSpline(),
    ThinPlateSpline(3),
    DisplacementField((5, 6)),
    DisplacementField((5, 6), squarings=2),
]
GROUPS = [Translation(), Attention(), Similarity(), Affine(), Projective()]
NAMES = {"ids": lambda transform: repr(transform)}


def near_identity(transform, seed=0, scale=0.1, batch=2):
    random = np.random.default_rng(seed)
    noise = random.normal(size=(batch, transform.num_parameters)) * scale
    return jnp.asarray(transform.identity + noise, jnp.float32)


def identity(transform, batch=1):
    return jnp.asarray(np.tile(transform.identity, (batch, 1)), jnp.float32)


def compiled(transform, size, **options):
    """The grid as a function of the parameters, compiled at once: one by one takes far longer."""
    return jax.jit(lambda theta: transform.grid(theta, size, **options))


def random_images(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("transform", PLANAR, **NAMES)
@pytest.mark.parametrize("corners", [False, True])
def test_the_identity_returns_the_image(transform, corners):
    assert transform.identity.shape == (transform.num_parameters,)
    sizes = (6, 9), (5, 8)  # even and odd along both axes

    @jax.jit
    def run(theta, *images):
        grids = [transform.grid(theta, size, align_corners=corners) for size in sizes]
        return grids, [
            sample(*pair, align_corners=corners) for pair in zip(images, grids, strict=True)
        ]

    images = [random_images(0, 1, *size, 2) for size in sizes]
    for size, grid, *pair in zip(sizes, *run(identity(transform), *images), images, strict=True):
        assert grid.shape == (1, *size, 2)
        np.testing.assert_allclose(*pair, atol=1e-5)


def test_the_identity_returns_the_volume():
    transform = Affine(dims=3)
    volumes = random_images(0, 1, 3, 4, 5, 2)
    grid = compiled(transform, (3, 4, 5))(identity(transform))
    np.testing.assert_allclose(jax.jit(sample)(volumes, grid), volumes, atol=1e-5)


@pytest.mark.parametrize("transform", PLANAR, **NAMES)
def test_every_parameter_moves_the_image_at_the_identity(transform):
    images, target = random_images(0, 2, 1, 12, 12, 1)

    @jax.jit
    @jax.grad
    def gradient_at(theta):
        return jnp.sum(sample(images, transform.grid(theta, (12, 12))) * target)

    gradient = gradient_at(identity(transform))
    assert np.all(np.isfinite(gradient))
    assert np.all(gradient != 0)


@pytest.mark.parametrize("transform", PLANAR, **NAMES)
def test_jit_and_single_images_agree_with_a_batch(transform):
    theta = near_identity(transform)
    grid = transform.grid(theta, (7, 6))
    run = compiled(transform, (7, 6))
    np.testing.assert_allclose(run(theta), grid, atol=1e-5)
    np.testing.assert_allclose(run(theta[1:]), grid[1:], atol=1e-5)


@pytest.mark.parametrize(
    ("transform", "theta", "point", "expected"),
    [
        (Translation(), [0.25, -0.5], [0.5, 0.5], [0.75, 0.0]),
        (Attention(), [0.5, 0.1, 0.2], [1.0, -1.0], [0.6, -0.3]),
        (Similarity(), [0.0, 1.0, 0.1, 0.0], [1.0, 0.0], [0.1, 1.0]),
        (Affine(), [1, 2, 3, 4, 5, 6], [0.5, -1.0], [1.5, 3.0]),
        (ExponentialAffine(), [0, -np.pi / 2, 0, np.pi / 2, 0, 0], [1.0, 0.0], [0.0, 1.0]),
        (ExponentialAffine(), [0, 0, 0.3, 0, 0, -0.2], [0.5, 0.5], [0.8, 0.3]),
        (Projective(), [1, 0, 0, 0, 1, 0, 0.5, 0], [1.0, 0.5], [2 / 3, 1 / 3]),
    ],
)
def test_points_by_hand(transform, theta, point, expected):
    # A grid with the point among its corners, whose values are at -1 and 1, scaled to reach it.
    grid = transform.grid(jnp.asarray([theta], jnp.float32), (5, 5), align_corners=True)
    where = np.argwhere(np.all(identity_grid((5, 5), align_corners=True) == point, axis=-1))[0]
    np.testing.assert_allclose(grid[0, where[0], where[1]], expected, atol=1e-6)


def test_the_groups_and_no_others_can_be_composed():
    assert all(isinstance(transform, Transform) for transform in PLANAR)
    composable = [transform for transform in PLANAR if isinstance(transform, ComposableTransform)]
    assert composable == GROUPS


@pytest.mark.parametrize("transform", GROUPS, **NAMES)
def test_composition_is_one_map_after_the_other(transform):
    @jax.jit
    def run(first, second):
        both = transform.grid(transform.compose(first, second), (5, 6))
        return both, transform.grid(first, (5, 6)), transform.matrix(second)

    both, firsts, matrices = run(near_identity(transform), near_identity(transform, seed=1))

    def send(matrix, points):
        square = np.eye(3)
        square[: len(matrix)] = matrix
        points = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ square.T
        return points[..., :2] / points[..., 2:]

    for image in range(2):
        once = np.asarray(firsts[image], np.float64)
        expected = send(np.asarray(matrices[image], np.float64), once)
        np.testing.assert_allclose(both[image], expected, atol=1e-5)


@pytest.mark.parametrize("transform", GROUPS, **NAMES)
def test_a_map_and_its_inverse_cancel(transform):
    @jax.jit
    def run(theta):
        inverse = transform.inverse(theta)
        pairs = (theta, inverse), (inverse, theta)
        return [transform.grid(transform.compose(*pair), (5, 6)) for pair in pairs]

    for grid in run(near_identity(transform)):
        np.testing.assert_allclose(grid, np.stack([identity_grid((5, 6))] * 2), atol=1e-5)


def test_the_exponential_is_scipys_and_its_inverse_is_the_negative():
    transform, theta = ExponentialAffine(), near_identity(ExponentialAffine(), scale=1.0)
    for one, matrix in zip(np.asarray(theta, np.float64), transform.matrix(theta), strict=True):
        generator = np.vstack([one.reshape(2, 3), np.zeros(3)])
        np.testing.assert_allclose(matrix, scipy.linalg.expm(generator)[:2], atol=1e-4)
        assert np.linalg.det(matrix[:, :2]) > 0
    forth, back = Affine(), transform.matrix(transform.inverse(theta)).reshape(-1, 6)
    both = forth.compose(transform.matrix(theta).reshape(-1, 6), back)
    np.testing.assert_allclose(both, np.tile(forth.identity, (2, 1)), atol=1e-4)


def test_bounds_hold_however_large_the_parameters():
    transform = BoundedAffine(
        largest_rotation=0.5, largest_scale=1.5, largest_shift=0.25, largest_stretch=1.2
    )
    theta = jnp.asarray(np.random.default_rng(0).normal(size=(200, 6)) * 100, jnp.float32)
    matrix = np.asarray(transform.matrix(theta))
    scales = np.linalg.svd(matrix[:, :, :2])[1]
    limit = 1.5 * np.sqrt(1.2)
    assert np.all((scales < limit + 1e-4) & (scales > 1 / limit - 1e-4))
    assert np.all(np.abs(matrix[:, :, 2]) <= 0.25 + 1e-6)
    angles = np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])
    assert np.all(np.abs(angles) <= 0.5 + 1e-5)
    assert np.abs(angles).max() > 0.49


def test_a_flat_homography_is_the_affine_map_bit_for_bit():
    theta = near_identity(Affine())
    flat = jnp.pad(theta, ((0, 0), (0, 2)))
    np.testing.assert_array_equal(Projective().grid(flat, (6, 7)), Affine().grid(theta, (6, 7)))


def test_points_behind_the_horizon_leave_the_image():
    # The homogeneous coordinate is 1 + 2x: zero at x = -0.5, negative left of it.
    theta = jnp.array([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0]])
    grid = compiled(Projective(), (5, 9), align_corners=True)(theta)
    run = jax.jit(functools.partial(sample, align_corners=True))
    out = run(jnp.ones((1, 5, 9, 1)), grid)[0, :, :, 0]
    x = identity_grid((5, 9), align_corners=True)[..., 0]
    assert np.all(np.asarray(out)[x <= -0.5] == 0)
    assert np.all(np.asarray(out)[x >= 0] == 1)
    gradient = jax.jit(
        jax.grad(lambda t: jnp.sum(sample(jnp.ones((1, 5, 9, 1)), Projective().grid(t, (5, 9)))))
    )(theta)
    assert np.all(np.isfinite(gradient))


def test_four_corners_fix_a_homography():
    transform, theta = Projective(), near_identity(Projective())
    sources = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]], np.float64)
    grids = np.asarray(compiled(transform, (2, 2), align_corners=True)(theta))
    for one, grid in zip(np.asarray(theta, np.float64), grids, strict=True):
        rows, values = [], []
        for (x, y), (u, v) in zip(sources, grid.reshape(4, 2), strict=True):
            rows += [
                [x, y, 1, 0, 0, 0, -u * x, -u * y],
                [0, 0, 0, x, y, 1, -v * x, -v * y],
            ]
            values += [u, v]
        np.testing.assert_allclose(np.linalg.solve(rows, values), one, atol=1e-4)


@pytest.mark.parametrize("points", [2, 3, 4])
def test_a_spline_sends_its_control_points_where_it_is_told(points):
    transform = ThinPlateSpline(points)
    theta = near_identity(transform)
    grid = compiled(transform, (points, points), align_corners=True)(theta)
    expected = transform.control_points + np.asarray(theta).reshape(2, -1, 2)
    np.testing.assert_allclose(grid.reshape(2, -1, 2), expected, atol=1e-5)


def test_a_spline_of_affine_displacements_is_affine():
    transform = ThinPlateSpline()
    matrix = np.array([[0.9, 0.2, 0.1], [-0.3, 1.1, 0.05]])
    controls = transform.control_points
    targets = controls @ matrix[:, :2].T + matrix[:, 2]
    grid = compiled(transform, (9, 7))(np.float32(targets - controls).reshape(1, -1))
    expected = identity_grid((9, 7)) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(grid[0], expected, atol=1e-5)


def test_a_bent_spline_is_not_affine():
    transform = ThinPlateSpline()
    theta = jnp.zeros((1, 32)).at[0, 10].set(0.3)
    grid = compiled(transform, (15, 15))(theta)
    offsets = np.asarray(grid[0], np.float64) - identity_grid((15, 15))
    design = np.concatenate([np.ones((225, 1)), identity_grid((15, 15)).reshape(-1, 2)], axis=1)
    fit = design @ np.linalg.lstsq(design, offsets.reshape(-1, 2), rcond=None)[0]
    assert np.abs(fit - offsets.reshape(-1, 2)).max() > 0.05


def test_a_splines_weights_sum_to_one_and_are_smooth_at_the_control_points():
    transform = ThinPlateSpline()
    random = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 2))
    np.testing.assert_allclose(transform.basis(random).sum(axis=-1), np.ones(50), atol=1e-10)
    np.testing.assert_allclose(transform.basis(transform.control_points), np.eye(16), atol=1e-10)
    with pytest.raises(ValueError, match="points_per_side=1"):
        ThinPlateSpline(1)


def test_a_constant_field_is_a_shift_at_every_size():
    for squarings in (0, 4):
        field = DisplacementField((4, 5), squarings=squarings)
        theta = jnp.tile(jnp.array([0.1, -0.2]), 20)[None]
        grid = compiled(field, (9, 7))(theta)
        np.testing.assert_allclose(
            grid[0], identity_grid((9, 7)) + np.array([0.1, -0.2]), atol=1e-5
        )


def test_a_velocity_field_is_invertible_where_a_displacement_folds():
    size = (48, 48)
    points = identity_grid(size)
    bump = np.exp(-8 * np.sum(points**2, axis=-1, keepdims=True))
    theta = jnp.asarray((bump * np.array([0.9, 0.0])).reshape(1, -1), jnp.float32)

    def smallest_step(grid):
        return float(np.min(np.diff(grid[0, :, :, 0])))

    flow = compiled(DisplacementField(size, squarings=8), size)
    forth, back = flow(theta), flow(-theta)
    folded = compiled(DisplacementField(size), size)(theta)
    assert smallest_step(folded) < 0 < smallest_step(forth)
    # Reading the inverse map through the map gives the identity back.
    read = jax.jit(functools.partial(sample, padding="border"))
    around = forth + read(np.asarray(back) - np.float32(points), forth)
    np.testing.assert_allclose(around[0, 8:-8, 8:-8], points[8:-8, 8:-8], atol=0.02)


@pytest.mark.parametrize("transform", PLANAR, **NAMES)
def test_points_go_where_the_grid_says(transform):
    theta = near_identity(transform)
    grid = np.reshape(compiled(transform, (4, 5))(theta), (2, -1, 2))
    points = np.tile(np.float32(identity_grid((4, 5))).reshape(1, -1, 2), (2, 1, 1))
    np.testing.assert_allclose(jax.jit(transform.apply)(theta, points), grid, atol=1e-5)


def test_a_window_of_fixed_scale_is_attention_of_that_scale():
    shifts = jnp.array([[0.0, 0.0], [0.5, -0.25]])
    window = FixedScaleAttention(0.5)
    assert window.num_parameters == 2
    np.testing.assert_array_equal(window.identity, [0, 0])
    expected = Attention().grid(jnp.pad(shifts, ((0, 0), (1, 0)), constant_values=0.5), (4, 6))
    np.testing.assert_array_equal(window.grid(shifts, (4, 6)), expected)
