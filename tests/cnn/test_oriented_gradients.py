import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from skimage.feature import hog

from cnn import count_parameters
from cnn.networks.oriented_gradients import OrientedGradientsConfig
from cnn.oriented_gradients import MAX_SHARE, oriented_gradients
from evaluation.perturbations.affine import move, turn
from tests.evaluation.suites.digits import mnist


def digits(count=4):
    return mnist("test")[0][:count].astype(np.float32) / 255.0


@pytest.mark.parametrize(
    ("orientations", "cell", "block", "side"), [(9, 4, 2, 28), (7, 5, 3, 27), (1, 8, 1, 28)]
)
def test_it_is_that_of_scikit_image(orientations, cell, block, side):
    images = digits()[:, :side]
    found = oriented_gradients(images, orientations=orientations, cell=cell, block=block)
    for image, blocks in zip(images[..., 0], found, strict=True):
        expected = hog(image, orientations, (cell, cell), (block, block), feature_vector=False)
        np.testing.assert_allclose(blocks, expected, atol=2e-5)


def test_the_channel_of_the_longest_gradient_counts():
    images = np.random.default_rng(0).uniform(size=(2, 12, 16, 3)).astype(np.float32)
    found = oriented_gradients(images, cell=4, block=2)
    for image, blocks in zip(images, found, strict=True):
        expected = hog(image, 9, (4, 4), (2, 2), feature_vector=False, channel_axis=-1)
        np.testing.assert_allclose(blocks, expected, atol=2e-5)


def test_an_edge_by_hand():
    """Columns of 0 and 1: the two beside the edge have the gradient 1 along x, in bin 0."""
    image = np.zeros((1, 4, 8, 1))
    image[:, :, 3:] = 1.0
    cells = oriented_gradients(image, orientations=4, cell=4, block=1)[0, 0, :, 0, 0]
    np.testing.assert_allclose(cells, [[1.0, 0, 0, 0], [0.0, 0, 0, 0]], atol=1e-3)
    both = oriented_gradients(np.moveaxis(image, 1, 2), orientations=4, cell=4, block=1)
    np.testing.assert_allclose(both[0, :, 0, 0, 0], [[0, 0, 1.0, 0], [0.0, 0, 0, 0]], atol=1e-3)


def test_contrast_and_brightness_change_nothing():
    images = digits()
    again = oriented_gradients(0.4 * images + 0.3)
    # Rounding turns the smallest gradients.
    assert np.mean(np.abs(again - oriented_gradients(images)) > 1e-3) < 0.01
    assert np.all(oriented_gradients(np.zeros((1, 8, 8, 1))) == 0.0)
    # Normalised again, a bin may have more than the limit.
    assert MAX_SHARE < np.max(again) <= 1.0


def test_predictions_jump_under_the_smallest_turn():
    """What docs/results/ways_to_invariance.md says of `designed`, here with random weights."""
    images = digits(100)
    model = OrientedGradientsConfig().build((28, 28, 1), 10, nnx.Rngs(0))

    @jax.jit
    def changes(degrees):
        turned = jax.vmap(lambda image: move(image, turn(degrees)))(images)
        before, after = (nnx.softmax(model(each).logits) for each in (images, turned))
        return jnp.sum(jnp.abs(turned - images)), 0.5 * jnp.sum(jnp.abs(after - before))

    (of_images, jump), (of_turned_images, change) = changes(1e-3), changes(1.0)
    assert of_images < 0.002 * of_turned_images
    assert 0.5 * change < jump < change


def test_next_to_nothing_fills_a_block_or_changes_the_bin():
    faint = np.zeros((1, 8, 8, 1))
    assert np.all(oriented_gradients(faint) == 0.0)
    faint[0, 3, 3] = 1e-3
    np.testing.assert_allclose(np.linalg.norm(oriented_gradients(faint)), 1.0, atol=1e-3)
    ramp = np.tile(np.arange(8.0) / 8, (8, 1))[None, :, :, None]
    down = np.moveaxis(ramp, 1, 2)
    for tilt, full in ((1e-6, 0), (-1e-6, 8)):
        cells = oriented_gradients(ramp + tilt * down, cell=2, block=1)[0, 1:3, 1:3, 0, 0]
        assert np.all(np.argmax(cells, axis=-1) == full)


def test_gradients_are_finite_where_there_is_no_slope():
    slope = jax.jit(jax.grad(lambda images: jnp.sum(jnp.square(oriented_gradients(images)))))
    images = digits(2)
    images[1] = 0.0
    assert np.all(np.isfinite(slope(images)))
    assert np.any(slope(images) != 0.0)


def test_the_classifier():
    def build():
        return OrientedGradientsConfig().build((28, 28, 1), 10, nnx.Rngs(0))

    assert count_parameters(build) == 12_970
    output = build()(digits())
    assert output.features is not None
    assert output.features.shape == (4, 1296)
    with pytest.raises(ValueError, match="a block of 8x8"):
        OrientedGradientsConfig().build((28, 7, 1), 10, nnx.Rngs(0))
    with pytest.raises(ValueError, match="3x2 cells of 4x4 pixels, fewer than a block of 3x3"):
        oriented_gradients(np.zeros((1, 12, 11, 1)), cell=4, block=3)
