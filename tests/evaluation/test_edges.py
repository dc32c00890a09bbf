import jax
import jax.numpy as jnp
import numpy as np
from skimage import feature

from evaluation.perturbations import canny
from tests.evaluation.suites.digits import mnist

detect = jax.jit(canny.edges)


def reference(image):
    """The edges of one channel that scikit-image finds, as those of MNIST-C were."""
    return feature.canny(np.asarray(image, np.float64))


def test_edges_are_those_of_scikit_image():
    digits = mnist("test")[0][:20] / np.float32(255.0)
    noise = np.random.default_rng(0).uniform(size=(5, 28, 28, 1)).astype(np.float32)
    for image in [*digits, *noise]:
        expected = reference(image[..., 0])
        found = np.asarray(detect(jnp.asarray(image)))[..., 0]
        assert 20 < expected.sum() < 400
        # Of two neighbours that are equal but for rounding either may stay.
        assert np.sum(found != expected) <= 1


def test_weak_edges_stay_only_where_they_touch_strong_ones():
    fading = np.zeros((28, 28, 1), np.float32)
    fading[14:] = np.linspace(0.3, 0.04, 28)[:, None]
    faint = np.minimum(fading, fading[:, 25:26])
    along = np.s_[12:16, 25]
    assert np.asarray(detect(jnp.asarray(fading)))[along].any()
    # There the images are the same, and so is the gradient.
    assert not np.asarray(detect(jnp.asarray(faint))).any()
    assert reference(5.0 * faint[..., 0])[along].any()


def test_a_square_has_a_closed_outline_in_every_channel():
    image = np.zeros((28, 28, 2), np.float32)
    image[8:20, 8:20] = 1.0
    image[..., 1] *= 0.5
    found = np.asarray(detect(jnp.asarray(image)))
    np.testing.assert_array_equal(found[..., 0], found[..., 1])
    assert not found[10:18, 10:18].any()
    rows, columns = np.nonzero(found[..., 0])
    assert np.bincount(np.r_[rows, columns])[10:18].min() == 4  # thin: two sides each way
    assert set(np.unique(found)) == {0.0, 1.0}


def test_what_is_blank_has_no_edges():
    assert not np.any(detect(jnp.zeros((28, 28, 1))))
