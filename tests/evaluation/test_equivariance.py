import functools
import itertools

import jax
import numpy as np
import pytest
from flax import nnx

from cnn.networks.pooling import PoolingNetworkConfig
from evaluation.metrics.equivariance import (
    channel_sums,
    cumulative_strides,
    energy_above_nyquist,
    equivariance_error,
    relative_distance,
    shiftability_error,
)

PIXELS = np.random.default_rng(0).random((8, 16, 16, 1), dtype=np.float32)
PHASES = list(itertools.product(range(4), range(4)))
MULTIPLES = [(0, 0), (4, 0), (0, 4), (4, 8)]


@functools.cache
def shiftability_of(kind):
    """Mean errors behind two random circular convolutions, each followed by a subsampling:
    over all phases of the cumulative stride, and over shifts by multiples of it."""
    network = PoolingNetworkConfig(downsampling=kind, layers=3, channels=16, edges="circular")
    model = network.build((16, 16, 1), 10, nnx.Rngs(0))
    layer = "convolution 2" if kind == "none" else "downsampling 2"
    features = jax.jit(lambda images: model.activations(images)[layer])

    def error(shifts):
        maps = [np.asarray(features(np.roll(PIXELS, shift, (1, 2)))) for shift in shifts]
        return np.mean(shiftability_error(np.array([channel_sums(each) for each in maps])))

    return error(PHASES), error(MULTIPLES)


def test_a_layer_that_never_subsamples_is_shiftable():
    assert shiftability_of("none")[0] < 1e-6


@pytest.mark.parametrize(
    ("kind", "expected"), [("max_blur3", 4.7e-3), ("max2", 2.6e-2), ("stride2", 1.0e-1)]
)
def test_subsampling_is_shiftable_as_far_as_it_blurs(kind, expected):
    over_phases, over_multiples = shiftability_of(kind)
    # Of other random weights the error is another one, but of this magnitude.
    assert expected / 2 < over_phases < 2 * expected
    assert over_multiples < 1e-6


def test_shiftability_by_hand():
    sums = np.array([[[3.0, 1.0]], [[5.0, 1.0]]])  # means 4 and 1, variances 1 and 0
    np.testing.assert_allclose(shiftability_error(sums), [1 / np.sqrt(17)])
    np.testing.assert_array_equal(shiftability_error(np.zeros((4, 2, 3))), [0, 0])


def test_distances_by_hand():
    reference = np.array([[3.0, 4.0], [0.0, 0.0]])
    found = relative_distance(np.array([[3.0, 5.0], [1.0, 0.0]]), reference)
    np.testing.assert_allclose(found, [1 / 5, 0])


@pytest.mark.parametrize("axis", [1, 2])
def test_equivariance_of_maps_that_move_along_and_that_do_not(axis):
    moved = np.roll(PIXELS, 1, axis)
    np.testing.assert_array_equal(equivariance_error(moved, PIXELS, axis), np.zeros(8))
    # The content that the shift brings in is not of the layer, and does not count.
    brought_in = moved.copy()
    brought_in[:, :1] = brought_in[:, :, :1] = 7.0
    other = np.delete(brought_in, 0, 3 - axis), np.delete(PIXELS, 0, 3 - axis)
    np.testing.assert_array_equal(equivariance_error(*other, axis), np.zeros(8))
    ramp = np.broadcast_to(np.arange(5.0).reshape(5, 1) if axis == 1 else np.arange(5.0), (5, 5))
    ramp = ramp[None, ..., None]
    # A map that stays where it is: four of five lines differ by 1 from the moved one.
    expected = np.sqrt(4) / np.sqrt(0 + 1 + 4 + 9 + 16)
    np.testing.assert_allclose(equivariance_error(ramp, ramp, axis), [expected])


def wave(cycles, axis, size=16):
    values = 3.0 + np.cos(2 * np.pi * cycles * np.arange(size) / size)
    values = values[:, None] if axis == 0 else values[None]
    return np.broadcast_to(values, (size, size))[None, ..., None]


@pytest.mark.parametrize("axis", [0, 1])
def test_energy_is_above_nyquist_where_a_wave_is_too_short(axis):
    # Half as many places hold waves of four places or more: four cycles in sixteen places.
    shares = [energy_above_nyquist(wave(cycles, axis), 2)[0] for cycles in (1, 4, 5, 8)]
    np.testing.assert_allclose(shares, [0, 0, 1, 1], atol=1e-12)
    mixed = np.concatenate([wave(1, axis), 2 * wave(6, axis)], axis=-1)
    np.testing.assert_allclose(energy_above_nyquist(mixed, 2), [4 / 5])
    assert energy_above_nyquist(wave(4, axis), 4) == pytest.approx(1.0)
    assert energy_above_nyquist(np.ones((1, 8, 8, 2)), 2) == 0.0


def blocks(images, size, margin=0):
    """Every so manyeth pixel, without the margins that a convolution without padding loses."""
    height, width = images.shape[1:3]
    return images[:, margin : height - margin : size, margin : width - margin : size]


def test_strides_from_sizes():
    layers = {
        "same": lambda images: blocks(images, 1),
        "valid": lambda images: blocks(images, 2, margin=3),
        "third": lambda images: blocks(images, 3),
        "vector": lambda images: images.sum(axis=(1, 2)),
        "one size": lambda images: images[:, :5, :5],
        "unlike": lambda images: images[:, ::2, ::3],
    }
    found = cumulative_strides(
        lambda images: {name: layer(images) for name, layer in layers.items()}, (15, 21, 1)
    )
    strides = {"same": 1, "valid": 2, "third": 3, "vector": None, "one size": None, "unlike": None}
    assert found == strides


def test_a_model_of_images_of_one_size_has_no_strides():
    def activations(images):
        return {"all": images, "dense": images.reshape(len(images), -1) @ np.ones((64, 3))}

    assert cumulative_strides(activations, (8, 8, 1)) == {"all": None, "dense": None}
