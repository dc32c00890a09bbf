import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from common.errors import UserError
from data.distortions import (
    AffineDistortion,
    Distortion,
    ElasticDistortion,
    Placement,
    ProjectiveDistortion,
    check_distortion,
    place,
    render,
    square_to_quadrilateral,
)
from stn.sampling import sample
from stn.transforms import Affine

KEY = jax.random.key(1)
ALL = [
    (AffineDistortion(45.0, 0.7, 1.2, anywhere=True), 42),
    (Placement(), 60),
    (ProjectiveDistortion(), 28),
    (ElasticDistortion(), 28),
]
NAMES = {"ids": lambda value: type(value).__name__ if not isinstance(value, int) else str(value)}


def smooth(count=3, size=28):
    """Blurred noise that fades to nothing at the edges, as digits do."""
    noise = np.random.default_rng(0).uniform(size=(count, size, size, 1))
    window = np.hanning(size)[:, None, None] * np.hanning(size)[None, :, None]
    blurred = scipy.ndimage.gaussian_filter(noise * window, (0, 2, 2, 0))
    return np.float32(blurred / blurred.max())


def distort(distortion, images, canvas, key=KEY):
    """Compiled as a whole, as each eager operation would be compiled on its own."""
    return jax.jit(lambda key, images: distortion(key, images, canvas))(key, images)


def draw(distortion, count, canvas):
    """Parameters for images of 28x28 pixels, which are not rendered."""
    images = np.zeros((count, 28, 28, 1), np.float32)
    return jax.jit(lambda key, images: distortion(key, images, canvas).theta)(KEY, images)


@pytest.mark.parametrize(("distortion", "canvas"), ALL, **NAMES)
def test_the_stated_transform_rendered_the_canvas(distortion, canvas):
    assert isinstance(distortion, Distortion)
    images = smooth()

    @jax.jit
    def twice(key, images):
        images_on_canvas, theta = distortion(key, images, canvas)
        again = sample(images, distortion.transform.grid(theta, (canvas, canvas)))
        return images_on_canvas, theta, again

    images_on_canvas, theta, again = twice(KEY, images)
    assert images_on_canvas.shape == (3, canvas, canvas, 1)
    assert theta.shape == (3, distortion.transform.num_parameters)
    np.testing.assert_allclose(images_on_canvas, again, atol=2e-5)
    assert not np.allclose(theta[0], theta[1])


def test_a_spatial_transformer_with_the_inverse_undoes_an_affine_distortion():
    images = smooth()

    @jax.jit
    def undo(key, images):
        rendered, theta = AffineDistortion(45.0, 1.0, 1.2, anywhere=True)(key, images, 84)
        return sample(rendered, Affine().grid(Affine().inverse(theta), (28, 28)))

    undone = undo(KEY, images)
    np.testing.assert_allclose(undone, images, atol=0.05)
    assert np.abs(undone - images).mean() < 0.005


def test_rotation_by_scipy():
    images = smooth(1)
    distortion = AffineDistortion(rotation=60.0)
    rendered, theta = distort(distortion, images, 28)
    # The map from canvas to image turns by the opposite angle.
    angle = np.rad2deg(np.arctan2(theta[0, 1], theta[0, 0]))
    assert 1.0 < abs(angle) < 60.0
    expected = scipy.ndimage.rotate(
        np.asarray(images[0, ..., 0]), -angle, reshape=False, order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(rendered[0, ..., 0], expected, atol=1e-4)


def test_affine_distortions_stay_in_their_ranges():
    distortion = AffineDistortion(45.0, 0.7, 1.2, anywhere=True)
    theta = draw(distortion, 2000, 42)
    matrix = np.asarray(Affine().matrix(theta))
    scale = 42 / 28 / np.sqrt(np.linalg.det(matrix[:, :, :2]))
    angle = np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    assert 0.7 <= scale.min() < 0.71
    assert 1.19 < scale.max() <= 1.2 + 1e-5
    assert -45.0 <= angle.min() < -44.0
    assert 44.0 < angle.max() <= 45.0
    # The frame's centre lies where the whole unrotated frame fits in.
    centre = np.asarray(Affine().inverse(theta)).reshape(-1, 2, 3)[:, :, 2]
    room = 1.0 - scale * 28 / 42
    assert np.all(np.abs(centre) <= room[:, None] + 1e-5)
    assert np.abs(centre).max() > 0.4


def test_a_shear_is_a_slant_along_x_before_the_rotation():
    theta = draw(AffineDistortion(30.0, shear=0.4), 2000, 28)
    forward = np.asarray(Affine().inverse(theta)).reshape(-1, 2, 3)[:, :, :2]
    # The first column, where x goes, is turned alone; turned back, the second one is the slant.
    cos, sin = forward[:, 0, 0], forward[:, 1, 0]
    np.testing.assert_allclose(np.hypot(cos, sin), 1.0, atol=1e-5)
    slant = cos * forward[:, 0, 1] + sin * forward[:, 1, 1]
    np.testing.assert_allclose(-sin * forward[:, 0, 1] + cos * forward[:, 1, 1], 1.0, atol=1e-5)
    assert -0.4 <= slant.min() < -0.39
    assert 0.39 < slant.max() <= 0.4
    without = draw(AffineDistortion(30.0), 2000, 28)
    turned = np.asarray(Affine().inverse(without)).reshape(-1, 2, 3)[:, :, 0]
    np.testing.assert_allclose(turned, forward[:, :, 0], atol=1e-5)


def test_placements_keep_every_pixel_and_reach_every_corner():
    images = smooth(500, 4)
    rendered = np.asarray(distort(Placement(), images, 7).images)
    np.testing.assert_allclose(rendered.sum(axis=(1, 2)), images.sum(axis=(1, 2)), rtol=1e-5)
    top_left = rendered[:, :4, :4]
    assert np.any(np.all(np.abs(top_left - images) < 1e-6, axis=(1, 2, 3)))
    assert np.any(np.all(np.abs(rendered[:, 3:, 3:] - images) < 1e-6, axis=(1, 2, 3)))


def test_several_patches_add_up_where_they_overlap():
    patches = jnp.ones((1, 2, 2, 2, 1)) * jnp.array([1.0, 10.0])[None, :, None, None, None]
    canvas = place(patches, jnp.array([[[0, 0], [1, 1]]]), 4)[0, ..., 0]
    np.testing.assert_array_equal(
        canvas, [[1, 1, 0, 0], [1, 11, 10, 0], [0, 10, 10, 0], [0, 0, 0, 0]]
    )


def test_a_quadrilateral_gets_the_corners_of_the_square():
    corners = np.array([[-1.2, -0.7], [0.8, -1.1], [1.3, 0.9], [-0.6, 1.4]])
    matrix = np.asarray(square_to_quadrilateral(jnp.asarray(corners[None], jnp.float32)))[0]
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    sent = square @ matrix.T
    np.testing.assert_allclose(sent[:, :2] / sent[:, 2:], corners, atol=1e-5)


@pytest.mark.parametrize(
    "distortion",
    [AffineDistortion(), ProjectiveDistortion(1.0, 1.0, 0.0), ElasticDistortion(1.0, 1.0, 0.0)],
    **NAMES,
)
def test_without_noise_nothing_changes(distortion):
    images = smooth()
    np.testing.assert_allclose(distort(distortion, images, 28).images, images, atol=1e-5)


def test_corner_and_control_noise_have_their_spread():
    theta = draw(ElasticDistortion(1.0, 1.0, 1.5), 4000, 28)
    assert np.std(theta) * 14 == pytest.approx(1.5, rel=0.02)
    theta = draw(ProjectiveDistortion(1.0, 1.0, 1.0), 4000, 28)
    transform = ProjectiveDistortion().transform
    corner = np.broadcast_to(np.float32([[[1.0, -1.0]]]), (4000, 1, 2))
    move = jax.jit(lambda theta, corner: transform.apply(transform.inverse(theta), corner))
    moved = move(theta, corner)[:, 0] - corner[:, 0]
    assert np.std(moved) * 14 == pytest.approx(1.0, rel=0.03)


def test_images_are_distorted_each_on_its_own_and_by_the_key_alone():
    images = smooth(2)
    same = np.stack([images[0], images[0]])
    distort = jax.jit(lambda key, images: AffineDistortion(30.0)(key, images, 28).images)
    rendered = distort(KEY, same)
    assert not np.allclose(rendered[0], rendered[1])
    np.testing.assert_array_equal(rendered, distort(KEY, same))
    other = distort(jax.random.key(2), same)
    assert not np.allclose(rendered, other)


def test_rendering_is_blank_where_there_is_no_image():
    zoomed_out = jnp.array([[2.0, 0.0, 0.0, 0.0, 2.0, 0.0]])
    rendered = render(jnp.ones((1, 4, 4, 1)), Affine(), zoomed_out, 8).images[0, ..., 0]
    np.testing.assert_allclose(rendered[2:6, 2:6], 1.0, atol=0.3)
    np.testing.assert_array_equal(rendered[0], 0.0)


@pytest.mark.parametrize("distortion", [distortion for distortion, _ in ALL])
def test_images_that_are_not_square_are_refused(distortion):
    with pytest.raises(ValueError, match="images of 4x6 pixels"):
        distortion(KEY, jnp.ones((2, 4, 6, 1)), 12)


def test_a_canvas_smaller_than_an_image_has_no_place_for_it():
    with pytest.raises(ValueError, match="canvas=5: images of 6x6 pixels do not fit"):
        Placement()(KEY, jnp.ones((2, 6, 6, 1)), 5)


def test_bytes_that_are_added_up_do_not_wrap_around():
    images = np.full((1, 2, 1, 1, 1), 200, np.uint8)
    canvas = place(images, np.array([[[1, 0], [1, 0]]]), 2)
    np.testing.assert_array_equal(canvas[0, :, :, 0], [[0, 400], [0, 0]])


def test_corners_may_be_whole_numbers():
    corners = np.array([[[-1, -1], [1, -1], [2, 2], [-1, 1]]])
    whole = square_to_quadrilateral(corners)
    np.testing.assert_allclose(whole, square_to_quadrilateral(jnp.asarray(corners, jnp.float32)))
    sent = whole[0] @ np.array([1.0, 1.0, 1.0])
    np.testing.assert_allclose(sent[:2] / sent[2], [2, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("distortion", "message"),
    [
        (AffineDistortion(rotation=-1.0), "rotation=-1.0: must be at least 0"),
        (AffineDistortion(rotation=math.nan), "rotation=nan: must be a finite number"),
        (AffineDistortion(0.0, 0.0, 1.0), "smallest_scale=0.0: must be at least 0.001"),
        (AffineDistortion(0.0, 1.2, 0.7), "smallest_scale=1.2: must be at most x.largest_scale"),
        (AffineDistortion(shear=math.inf), "shear=inf: must be a finite number"),
        (ProjectiveDistortion(corner_noise=-5.0), "corner_noise=-5.0: must be at least 0"),
        (ElasticDistortion(control_noise=math.nan), "control_noise=nan: must be a finite"),
        (ElasticDistortion(points_per_side=1), "points_per_side=1: must be at least 2"),
        (ElasticDistortion(points_per_side=999), "points_per_side=999: must be at most 20"),
        (3, "x=int: must have __call__(key, images, canvas)"),
    ],
)
def test_values_that_no_distortion_can_have(distortion, message):
    with pytest.raises(UserError) as caught:
        check_distortion("x", distortion)
    assert message in str(caught.value)


def test_a_distortion_may_do_nothing():
    for distortion in (AffineDistortion(), Placement(), ProjectiveDistortion(corner_noise=0.0)):
        check_distortion("x", distortion)
