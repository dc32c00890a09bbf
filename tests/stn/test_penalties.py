import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from stn import collapse_penalty, identity_grid, identity_penalty, outside_penalty, transforms

SIZE = (6, 7)
X_AXIS = jnp.array([[[[1.0, 0.0]]]])
PENALTIES = [identity_penalty, outside_penalty, collapse_penalty]
PLANAR = [
    transforms.Affine(),
    transforms.BoundedAffine(),
    transforms.Projective(),
    transforms.ThinPlateSpline(3),
    transforms.DisplacementField((4, 5), squarings=2),
]


def rest(corners=False, size=SIZE):
    return jnp.asarray(identity_grid(size, align_corners=corners)[None], jnp.float32)


def all_of(grid):
    return jnp.stack([penalty(grid) for penalty in PENALTIES])


@pytest.mark.parametrize("transform", PLANAR, ids=repr)
def test_the_identity_of_every_transform_is_free(transform):
    def of_theta(theta):
        return all_of(transform.grid(theta, SIZE))

    identity = jnp.asarray(transform.identity, jnp.float32)[None]
    values, slopes = jax.jit(lambda theta: (of_theta(theta), jax.jacrev(of_theta)(theta)))(identity)
    np.testing.assert_array_equal(values, 0)
    np.testing.assert_array_equal(slopes, 0)


def test_the_identity_of_other_conventions_is_free():
    grid = rest(corners=True)
    assert identity_penalty(grid, align_corners=True) == 0
    assert identity_penalty(grid) > 0
    assert outside_penalty(grid) == 0
    assert collapse_penalty(grid, smallest_area=0.999, align_corners=True) == 0
    volume = jnp.asarray(identity_grid((3, 4, 5))[None], jnp.float32)
    assert identity_penalty(volume) == outside_penalty(volume) == 0
    np.testing.assert_allclose(identity_penalty(volume + 0.5), 0.75, rtol=1e-5)


def test_distances_by_hand():
    np.testing.assert_allclose(identity_penalty(rest() + jnp.array([0.3, -0.4])), 0.25, rtol=1e-5)
    # One image of two is doubled in x: the mean of x^2 over 7 centres is 16/49.
    doubled = jnp.concatenate([rest(), rest() * jnp.array([2.0, 1.0])])
    np.testing.assert_allclose(identity_penalty(doubled), 0.5 * 16 / 49, rtol=1e-5)
    # Columns at x = -0.5, 0.5 and 1.5, of which the last is out by 0.5.
    shifted = rest(corners=True, size=(4, 3)) + jnp.array([0.5, 0.0])
    np.testing.assert_allclose(outside_penalty(shifted), 0.25 / 3, rtol=1e-5)
    assert outside_penalty(shifted, limit=1.5) == 0


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize("corners", [False, True])
def test_areas_by_hand(corners, mirror):
    for scale, expected in ((1.0, 0), (0.51, 0), (0.4, np.log(0.25 / 0.16) ** 2)):
        grid = rest(corners) * scale * jnp.array([mirror, 1.0]) + 0.3
        penalty = collapse_penalty(grid, smallest_area=0.25, align_corners=corners)
        np.testing.assert_allclose(penalty, expected, atol=1e-5)
    # Squeezed along one axis and stretched along the other keeps the area.
    assert collapse_penalty(rest() * jnp.array([0.1, 10.0]), smallest_area=0.9) == 0


def test_a_collapse_of_a_part_is_seen():
    # The right three of six columns of cells are half as wide as they should be.
    x = np.array([0, 1, 2, 3, 3.5, 4, 4.5]) / 7
    grid = rest().at[0, :, :, 0].set(2 * jnp.asarray(x, jnp.float32) - 0.5)
    penalty = collapse_penalty(grid, smallest_area=0.8)
    np.testing.assert_allclose(penalty, 0.5 * np.log(0.8 / 0.5) ** 2, rtol=1e-4)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_are_those_of_finite_differences(penalty):
    noise = np.random.default_rng(0).normal(size=(2, *SIZE, 2))
    grid = jnp.asarray(0.4 * rest() + 0.02 * noise, jnp.float32)
    grid = {"outside_penalty": 4.0 * grid}.get(penalty.__name__, grid)
    options = {"collapse_penalty": {"smallest_area": 0.5}}.get(penalty.__name__, {})
    value = jax.jit(lambda grid: 100.0 * penalty(grid, **options))
    assert value(grid) > 0
    check_grads(value, (grid,), order=1, modes=["rev"], atol=0.05, rtol=0.05, eps=1e-3)


def test_every_gradient_leads_back():
    def of_scale(penalty, scale):
        return penalty(rest() * scale)

    for penalty, scale, sign in (
        (identity_penalty, 1.2, 1),
        (identity_penalty, 0.8, -1),
        (outside_penalty, 1.5, 1),
        (outside_penalty, 20.0, 1),
        (collapse_penalty, 0.2, -1),
        (collapse_penalty, 0.01, -1),
        (collapse_penalty, 1e-3, -1),
    ):
        slope = jax.grad(of_scale, argnums=1)(penalty, jnp.float32(scale))
        assert np.isfinite(slope)
        assert slope * sign > 1e-3, (penalty.__name__, scale)
    point = jax.value_and_grad(collapse_penalty)(rest() * 0.0 + 0.3)
    assert 30 < float(point[0]) < 100
    np.testing.assert_array_equal(point[1], 0)


def test_far_points_pull_less_than_near_ones():
    # A single point at a distance from the middle, where the only pixel of the identity is.
    distances = jnp.array([1.0, 3.9, 4.1, 10.0, 100.0, 1e6])
    penalty = jax.value_and_grad(lambda distance: identity_penalty(distance * X_AXIS))
    value, slope = jax.jit(jax.vmap(penalty))(distances)
    np.testing.assert_allclose(value[:2], [1.0, 3.9**2], rtol=1e-5)
    np.testing.assert_allclose(value[3], 48 - 128 / 10, rtol=1e-5)
    assert np.all(np.diff(value) >= 0)
    assert np.all(value <= 48)
    np.testing.assert_allclose(slope[3:5], [1.28, 0.0128], rtol=1e-4)
    assert np.abs(slope).max() < 8


def test_a_horizon_in_the_image_keeps_values_and_gradients_bounded():
    # The depth at the left edge is 1 - tilt: from in front of the horizon to far behind it.
    projective = transforms.Projective()

    @jax.jit
    def values_and_slopes(tilt):
        def of_tilt(tilt):
            theta = jnp.array([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]).at[0, 6].set(tilt)
            return all_of(projective.grid(theta, SIZE, align_corners=True))

        return of_tilt(tilt), jax.jacrev(of_tilt)(tilt)

    for tilt in (0.99, 0.9999, 0.99999, 1.0, 1.0001, 1.5, 1.5001, 3.0, 50.0):
        values, slopes = values_and_slopes(jnp.float32(tilt))
        assert np.all((values >= 0) & (values <= 48)), tilt
        assert np.all(np.abs(slopes) < 200), tilt
    # Cells behind the horizon have no area, and count for nothing.
    behind = rest().at[:, :, :4].set(1e6)
    assert collapse_penalty(behind) == 0


def test_areas_that_cannot_be_are_an_error():
    with pytest.raises(ValueError, match="1x7 points"):
        collapse_penalty(rest(size=(1, 7)))
    with pytest.raises(ValueError, match="smallest_area=0"):
        collapse_penalty(rest(), smallest_area=0.0)
