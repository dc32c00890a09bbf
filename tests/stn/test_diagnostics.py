import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stn import (
    affine_grid,
    frame,
    identity_grid,
    pixel_coordinates,
    sample,
    transforms,
    warp_statistics,
)

SIZE = (8, 6)


def statistics(grid, **options):
    return jax.jit(lambda grid: warp_statistics(grid, **options))(grid)


def of_matrix(*rows):
    """Statistics of one affine map."""
    grid = affine_grid(jnp.asarray([rows], jnp.float32), SIZE)
    return {name: np.asarray(value)[0] for name, value in statistics(grid)._asdict().items()}


@pytest.mark.parametrize("corners", [False, True])
def test_the_identity(corners):
    grid = jnp.asarray(identity_grid(SIZE, align_corners=corners)[None], jnp.float32)
    found = statistics(grid, align_corners=corners)
    expected = dict.fromkeys(found._fields, 0.0) | {"scale": 1, "stretch": 1, "coverage": 1}
    for name, value in found._asdict().items():
        assert value.shape == (1,)
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


def test_a_quarter_turn_by_hand():
    # The output's x axis is read along the input's y axis, which points down: clockwise.
    found = of_matrix([0, -1, 0], [1, 0, 0])
    np.testing.assert_allclose(found["rotation"], 90, atol=1e-3)
    assert not found["reflected"]


@pytest.mark.parametrize("corners", [False, True])
def test_similarities(corners):
    random = np.random.default_rng(0)
    angle, scale = random.uniform(-179, 179, 20), random.uniform(0.2, 3.0, 20)
    shift = random.normal(size=(20, 2))
    a, b = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    theta = jnp.asarray(np.stack([a, b, *shift.T], axis=1), jnp.float32)
    grid = transforms.Similarity().grid(theta, SIZE, align_corners=corners)
    found = statistics(grid, align_corners=corners)
    np.testing.assert_allclose(found.rotation, angle, atol=1e-2)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-4)
    np.testing.assert_allclose(found.log_area, 2 * np.log(scale), atol=1e-4)
    np.testing.assert_allclose(found.shift_x, shift[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.shift_y, shift[:, 1], atol=1e-5)
    np.testing.assert_allclose(found.stretch, 1, atol=1e-4)
    np.testing.assert_allclose(np.stack([found.shear, found.bend]), 0, atol=1e-4)
    assert not np.any(found.reflected)


def test_they_are_the_parameters_of_a_bounded_affine_map():
    transform = transforms.BoundedAffine(
        largest_rotation=3.0, largest_scale=2.0, largest_stretch=1.8, largest_shear=0.7
    )
    theta = np.random.default_rng(1).normal(size=(20, 6))
    share = np.tanh(theta)
    found = statistics(transform.grid(jnp.asarray(theta, jnp.float32), SIZE))
    np.testing.assert_allclose(found.rotation, np.rad2deg(3.0 * share[:, 0]), atol=1e-2)
    np.testing.assert_allclose(found.scale, 2.0 ** share[:, 1], rtol=1e-4)
    np.testing.assert_allclose(found.stretch, 1.8 ** share[:, 2], rtol=1e-3)
    np.testing.assert_allclose(found.shear, 0.7 * share[:, 3], atol=1e-3)
    np.testing.assert_allclose(found.shift_x, share[:, 4], atol=1e-5)
    np.testing.assert_allclose(found.shift_y, share[:, 5], atol=1e-5)


def test_mirrors():
    for rows, rotation in ((([-1, 0, 0], [0, 1, 0]), 0), (([1, 0, 0], [0, -1, 0]), 180)):
        found = of_matrix(*rows)
        assert found["reflected"]
        np.testing.assert_allclose(np.abs(found["rotation"]), rotation, atol=1e-3)
        np.testing.assert_allclose(found["stretch"], 1, atol=1e-5)
        np.testing.assert_allclose(found["log_area"], 0, atol=1e-5)
    # A mirror from left to right and then a known map, of which the numbers are.
    map_after = np.array([[1.2, -0.5, 0.1], [0.4, 0.9, -0.2]])
    plain, turned = of_matrix(*map_after), of_matrix(*(map_after * [-1, 1, 1]))
    assert turned.pop("reflected")
    assert not plain.pop("reflected")
    for name, value in turned.items():
        np.testing.assert_allclose(value, plain[name], atol=1e-4, err_msg=name)


def test_a_spline_shows_its_affine_part_and_its_bend():
    transform = transforms.ThinPlateSpline()
    controls = transform.control_points
    matrix = np.array([[0.9, -0.3, 0.1], [0.3, 0.9, -0.2]])
    straight = controls @ matrix[:, :2].T + matrix[:, 2] - controls
    bent = straight + np.random.default_rng(0).normal(size=straight.shape) * 0.1
    theta = jnp.asarray(np.stack([straight, bent]).reshape(2, -1), jnp.float32)
    grid = transform.grid(theta, SIZE)
    found = statistics(grid)
    np.testing.assert_allclose(found.rotation[0], np.rad2deg(np.arctan2(0.3, 0.9)), atol=1e-2)
    np.testing.assert_allclose(found.scale[0], np.sqrt(0.9), rtol=1e-4)
    np.testing.assert_allclose(found.bend[0], 0, atol=1e-5)
    # The bent one against a least-squares fit of its own.
    design = np.concatenate([identity_grid(SIZE).reshape(-1, 2), np.ones((48, 1))], axis=1)
    points = np.asarray(grid[1], np.float64).reshape(-1, 2)
    fit, squares, _, _ = np.linalg.lstsq(design, points, rcond=None)
    np.testing.assert_allclose(found.bend[1], np.sqrt(squares.sum() / 48), rtol=1e-3)
    np.testing.assert_allclose(found.scale[1] ** 2, np.linalg.det(fit[:2]), rtol=1e-3)
    np.testing.assert_allclose([found.shift_x[1], found.shift_y[1]], fit[2], atol=1e-4)


def test_coverage_counts_the_points_inside():
    # A shift by half the image leaves the left half of the points inside; zooming out by two
    # leaves a quarter, as long as the image's edges are between points.
    assert of_matrix([1, 0, 1], [0, 1, 0])["coverage"] == 0.5
    assert of_matrix([2, 0, 0], [0, 2, 0])["coverage"] == pytest.approx(4 * 4 / 48)
    assert of_matrix([1, 0, 5], [0, 1, 0])["coverage"] == 0
    # Without a horizon in sight, or behind it, nothing but the coverage is meant to be read.
    theta = jnp.array([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0]])
    found = statistics(transforms.Projective().grid(theta, SIZE))
    assert 0 < float(found.coverage[0]) < 1
    assert all(np.all(np.isfinite(value)) for value in found)


def test_the_identitys_frame_is_the_edge_of_the_image_in_order():
    outline = frame(jnp.asarray(identity_grid((2, 3))[None], jnp.float32))
    pixels = pixel_coordinates(outline, (2, 3))[0]
    expected = [[-0.5, -0.5], [0, -0.5], [1, -0.5], [2, -0.5], [2.5, -0.5], [2.5, 0], [2.5, 1]]
    expected += [[2.5, 1.5], [2, 1.5], [1, 1.5], [0, 1.5], [-0.5, 1.5], [-0.5, 1], [-0.5, 0]]
    np.testing.assert_allclose(pixels, [*expected, expected[0]], atol=1e-5)
    aligned = frame(jnp.asarray(identity_grid((2, 3), align_corners=True)[None], jnp.float32))
    again = pixel_coordinates(aligned, (2, 3), align_corners=True)
    np.testing.assert_allclose(again[0], pixels, atol=1e-5)


def test_a_warps_frame_is_the_edge_sent_through_the_warp():
    matrix = np.array([[0.5, -0.4, 0.3], [0.2, 0.7, -0.1]])
    outline = frame(affine_grid(jnp.asarray(matrix[None], jnp.float32), SIZE))
    edge = frame(jnp.asarray(identity_grid(SIZE)[None], jnp.float32))
    assert outline.shape == (1, 2 * (8 + 6) + 5, 2)
    np.testing.assert_allclose(outline, edge @ matrix[:, :2].T + matrix[:, 2], atol=1e-5)


@pytest.mark.parametrize("corners", [False, True])
def test_pixels_are_the_samplers(corners):
    points = jax.random.uniform(jax.random.key(0), (1, 4, 5, 2), minval=-0.7, maxval=0.7)
    rows, columns = np.meshgrid(np.arange(7.0), np.arange(9.0), indexing="ij")
    where = jnp.asarray(np.stack([columns, rows], axis=-1)[None], jnp.float32)
    read = sample(where, points, align_corners=corners)
    found = pixel_coordinates(points, (7, 9), align_corners=corners)
    np.testing.assert_allclose(found, read, atol=1e-5)


def test_a_line_of_points_is_an_error():
    with pytest.raises(ValueError, match="8x1 points"):
        warp_statistics(jnp.zeros((1, 8, 1, 2)))
