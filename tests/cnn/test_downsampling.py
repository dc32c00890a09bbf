import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cnn.downsampling import KINDS, downsample

FEATURES = np.abs(np.random.default_rng(0).normal(size=(3, 8, 12, 5))).astype(np.float32)
HALVING = [kind for kind in KINDS if kind != "none"]
MODES = {"zeros": "constant", "circular": "wrap"}


def slow(features, kind, edges):
    """The same with scipy's filters, image by image and channel by channel."""
    mode = MODES[edges]

    def one(plane):
        if kind.startswith("max"):
            size = 3 if kind == "max3s2" else 2
            # scipy centres an even window on its last pixel, the networks on its first.
            plane = ndimage.maximum_filter(plane, size, mode=mode, origin=size % 2 - 1)
        if kind == "avg2":
            plane = ndimage.uniform_filter(plane, 2, mode=mode, origin=-1)
        for size, weights in ((3, [1, 2, 1]), (5, [1, 4, 6, 4, 1])):
            if kind.endswith(f"blur{size}"):
                for axis in (0, 1):
                    plane = ndimage.correlate1d(
                        plane, np.array(weights) / sum(weights), axis, mode=mode
                    )
        return plane[::2, ::2]

    planes = np.moveaxis(features, -1, 1)
    found = np.array([[one(plane) for plane in image] for image in planes])
    return np.moveaxis(found, 1, -1)


@pytest.mark.parametrize("edges", MODES)
@pytest.mark.parametrize("kind", [kind for kind in HALVING if kind != "aps"])
def test_it_agrees_with_scipy(kind, edges):
    found = downsample(jnp.asarray(FEATURES), kind, edges=edges)
    np.testing.assert_allclose(found, slow(FEATURES, kind, edges), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", HALVING)
def test_an_odd_size_is_rounded_up(kind):
    assert downsample(jnp.asarray(FEATURES[:, :7, :5]), kind).shape == (3, 4, 3, 5)


def test_the_phase_is_chosen_image_by_image():
    phases = FEATURES.copy()
    phases[0, 1::2, ::2] += 5.0
    phases[1, ::2, 1::2] += 5.0
    phases[2, 1::2, 1::2] += 5.0
    found = downsample(jnp.asarray(phases), "aps")
    np.testing.assert_array_equal(found[0], phases[0, 1::2, ::2])
    np.testing.assert_array_equal(found[1], phases[1, ::2, 1::2])
    np.testing.assert_array_equal(found[2], phases[2, 1::2, 1::2])


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1), (3, 5)])
def test_the_chosen_phase_moves_with_a_circular_shift(shift):
    """The set of values that are kept does not depend on a circular shift."""
    moved = jnp.roll(FEATURES, shift, axis=(1, 2))
    first, second = (downsample(f, "aps", edges="circular") for f in (jnp.asarray(FEATURES), moved))
    np.testing.assert_allclose(np.sum(first, (1, 2)), np.sum(second, (1, 2)), rtol=1e-5)
    others = (downsample(f, "stride2", edges="circular") for f in (jnp.asarray(FEATURES), moved))
    assert not np.allclose(*(np.sum(f, (1, 2)) for f in others), rtol=1e-3)


@pytest.mark.parametrize("kind", HALVING)
def test_gradients_are_finite_on_a_flat_map(kind):
    gradient = jax.grad(lambda f: downsample(f, kind).sum())(jnp.zeros((1, 6, 6, 2)))
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(("kind", "edges"), [("max4", "zeros"), ("max2", "mirror")])
def test_unknown_names_raise(kind, edges):
    with pytest.raises(ValueError, match="choose one of"):
        downsample(jnp.asarray(FEATURES), kind, edges=edges)
