import functools
from collections import OrderedDict

import jax
import numpy as np
import pytest
from flax import nnx

from cnn.networks.pooling import PoolingNetworkConfig
from evaluation import suites
from evaluation.model import Predictor
from evaluation.suites import NotApplicable
from evaluation.suites.representation.layer_equivariance import (
    ENERGY,
    EQUIVARIANCE,
    INVARIANCE,
    SHIFTABILITY,
)
from tests.evaluation.suites.digits import constant, dataset, some_digits

SUITE = suites.load("layer_equivariance")


def found(activations, data=None, batch_size=24):
    predictor = Predictor.of(constant, activations=activations)
    results = SUITE.evaluate(predictor, data or some_digits(), batch_size=batch_size)
    assert results is not None
    return {(result.metric, result.condition): result for result in results}


def layers(images):
    """The image itself, every other pixel of it, a constant, and the sum of all pixels."""
    images = np.asarray(images)
    return {
        "identity": images,
        "halved": images[:, ::2, ::2],
        "constant": np.ones_like(images),
        "sum": images.sum(axis=(1, 2)),
    }


@functools.cache
def of_layers():
    return found(layers)


def test_known_layers():
    values = {key: result.value for key, result in of_layers().items()}
    assert values[SHIFTABILITY, "identity, stride 1"] == pytest.approx(0.0, abs=1e-12)
    assert values[EQUIVARIANCE, "identity, stride 1"] == 0.0
    assert values[INVARIANCE, "identity, stride 1"] > 0.2
    assert values[SHIFTABILITY, "halved, stride 2"] > 0.01
    assert values[EQUIVARIANCE, "halved, stride 2"] == 0.0
    for metric in (SHIFTABILITY, EQUIVARIANCE, INVARIANCE):
        assert values[metric, "constant, stride 1"] == 0.0
    assert values[INVARIANCE, "sum"] == pytest.approx(0.0, abs=1e-6)
    assert (SHIFTABILITY, "sum") not in values
    assert values[INVARIANCE, "last layer"] == values[INVARIANCE, "sum"]


def test_a_constant_layer_has_a_flag():
    flagged = {condition for (_, condition), result in of_layers().items() if result.flags}
    assert flagged == {"constant, stride 1"}


def test_a_random_pair_is_the_unit_of_the_change():
    """A layer that is random for every image, moved or not, is as a random pair."""
    images = some_digits(23).test.images

    def noise(images):
        seeds = [int(1000 * (image * np.arange(image.size).reshape(image.shape)).sum())
                 for image in np.asarray(images, np.float64)]  # fmt: skip
        return {"noise": np.array([np.random.default_rng(seed).random(2000) for seed in seeds])}

    # Without the blank image, of which every shift is the same.
    chosen = images[images.any(axis=(1, 2, 3))]
    value = found(noise, dataset(chosen, np.zeros(len(chosen))))[INVARIANCE, "noise"].value
    assert value == pytest.approx(1.0, abs=0.02)


def test_the_energy_is_of_what_is_subsampled():
    result = of_layers()[ENERGY, "before halved, by 2"]
    images = some_digits().test.images.astype(float)
    images -= images.mean(axis=(1, 2), keepdims=True)
    energy = np.abs(np.fft.fft2(images[..., 0])) ** 2
    frequencies = np.minimum(np.arange(28), 28 - np.arange(28))
    above = (frequencies[:, None] > 7) | (frequencies > 7)
    total = np.maximum(energy.sum(axis=(1, 2)), 1e-9)
    expected = (energy * above).sum(axis=(1, 2)) / total
    np.testing.assert_allclose(result.outcomes, expected, rtol=1e-4)
    assert [key for key in of_layers() if key[0] == ENERGY] == [(ENERGY, "before halved, by 2")]


def test_the_size_of_batches_changes_nothing():
    again = found(layers, batch_size=7)
    assert list(again) == list(of_layers())
    for key, result in of_layers().items():
        np.testing.assert_allclose(again[key].outcomes, result.outcomes, atol=1e-12)
        assert result.value == pytest.approx(np.mean(result.outcomes))


@functools.cache
def of_network(kind, edges):
    network = PoolingNetworkConfig(downsampling=kind, layers=3, channels=8, edges=edges)
    model = network.build((28, 28, 1), 10, nnx.Rngs(0))
    # A bias, whose contribution to blank places ends where the padding begins.
    for convolution in model.convolutions:
        convolution.bias[...] = convolution.bias[...] + 0.1
    maps = jax.jit(lambda images: OrderedDict(model.activations(images)))
    return found(maps, some_digits(12))


def test_padding_breaks_equivariance_and_a_circle_does_not():
    for condition in ("convolution 2, stride 2", "downsampling 2, stride 4", "last layer"):
        assert of_network("max2", "circular")[EQUIVARIANCE, condition].value < 1e-6
        assert of_network("max2", "zeros")[EQUIVARIANCE, condition].value > 1e-3


def test_the_edges_of_a_frame_do_not_count():
    """Zeros beyond the edges and biases: layers of stride 1 are shiftable all the same."""
    values = {key: result.value for key, result in of_network("max2", "zeros").items()}
    assert values[SHIFTABILITY, "convolution 1, stride 1"] < 1e-6
    assert values[SHIFTABILITY, "filtered 1, stride 1"] < 1e-6
    assert 1e-3 < values[SHIFTABILITY, "downsampling 1, stride 2"] < 0.1
    circular = of_network("max2", "circular")[SHIFTABILITY, "last layer"].value
    assert values[SHIFTABILITY, "last layer"] == pytest.approx(circular, rel=1e-4)


def test_blurring_takes_energy_before_it_folds():
    for layer in ("before downsampling 1, by 2", "before downsampling 2, by 2"):
        blurred = of_network("max_blur5", "zeros")[ENERGY, layer].value
        assert blurred < of_network("max2", "zeros")[ENERGY, layer].value


def test_it_needs_activations_and_two_images():
    with pytest.raises(NotApplicable, match="no `activations`"):
        suites.run(SUITE, constant, some_digits(), batch_size=8)
    one = dataset(some_digits().test.images[:1], [0])
    with pytest.raises(NotApplicable, match="a single image"):
        suites.run(SUITE, Predictor.of(constant, activations=layers), one, batch_size=8)


def test_a_model_of_one_size_of_images_has_its_invariance_measured():
    def activations(images):
        return {"flat": np.asarray(images).reshape(len(images), 784)}

    assert set(found(activations)) == {(INVARIANCE, "flat"), (INVARIANCE, "last layer")}
