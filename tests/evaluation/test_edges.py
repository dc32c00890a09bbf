import itertools

import jax
import jax.numpy as jnp
import numpy as np

from evaluation.perturbations import canny
from tests.evaluation.suites.digits import mnist

detect = jax.jit(canny.edges)


def correlate(image, kernel):
    """Plain loops; outside is blank."""
    radius = kernel.shape[0] // 2
    padded = np.pad(image, radius)
    out = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape):
        window = padded[y : y + kernel.shape[0], x : x + kernel.shape[1]]
        out[y, x] = np.sum(window * kernel)
    return out


def reference(image):
    """Edges of one channel, by angles, loops and a stack."""
    bell = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    bell /= bell.sum()
    smooth = correlate(image, np.outer(bell, bell))
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gradient_x, gradient_y = correlate(smooth, sobel), correlate(smooth, sobel.T)
    length = np.pad(np.hypot(gradient_x, gradient_y), 1)
    angle = np.rad2deg(np.arctan2(gradient_y, gradient_x)) % 180
    # The neighbour that is right or below, by the gradient's direction.
    steps = {0: (0, 1), 1: (1, 1), 2: (1, 0), 3: (1, -1)}
    thin = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape):
        down, right = steps[int(np.round(angle[y, x] / 45)) % 4]
        here = length[y + 1, x + 1]
        before, after = length[y + 1 - down, x + 1 - right], length[y + 1 + down, x + 1 + right]
        thin[y, x] = here if before < here >= after else 0
    found = np.zeros(image.shape)
    stack = list(zip(*np.nonzero(thin >= 0.2), strict=True))
    while stack:
        y, x = stack.pop()
        if 0 <= y < len(thin) and 0 <= x < thin.shape[1] and thin[y, x] >= 0.1 and not found[y, x]:
            found[y, x] = 1
            stack += [(y + i, x + j) for i, j in itertools.product((-1, 0, 1), repeat=2)]
    return found


def test_edges_are_those_of_a_slow_reference():
    digits = mnist("test")[0][:8] / np.float32(255.0)
    noise = np.random.default_rng(0).uniform(size=(28, 28, 1)).astype(np.float32)
    for image in [*digits, noise]:
        expected = reference(image[..., 0])
        found = np.asarray(detect(jnp.asarray(image)))[..., 0]
        assert 20 < expected.sum() < 400
        # Of two neighbours that are equal but for rounding either may stay.
        assert np.sum(found != expected) <= 2


def test_weak_edges_stay_only_where_they_touch_strong_ones():
    fading = np.zeros((28, 28, 1), np.float32)
    fading[14:] = np.linspace(0.3, 0.04, 28)[:, None]
    faint = np.minimum(fading, fading[:, 26:27])
    along = np.s_[12:16, 26]
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
    assert found[12:16, 6:10].sum(axis=1).min() == 1  # thin
    assert set(np.unique(found)) == {0.0, 1.0}


def test_what_is_blank_has_no_edges():
    assert not np.any(detect(jnp.zeros((28, 28, 1))))
