"""Networks of matrix capsules: their sizes, their layers, and what they count while they train."""

import functools
import types

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import MatrixCapsNetConfig, VariationalCapsNetConfig
from capsnet.layers.matrix import ClassCapsules, MatrixPrimaryCapsules, coordinates
from capsnet.networks.matrix import small
from capsnet.routing import UniformRouting
from cnn.output import in_mode
from cnn.parameter_budget import count_parameters

IMAGES = np.random.default_rng(0).uniform(size=(4, 13, 13, 1)).astype(np.float32)
BATCH = types.SimpleNamespace(images=IMAGES, labels=np.arange(4, dtype=np.int32))


@pytest.mark.parametrize(
    ("config", "channels", "parameters"),
    [
        (MatrixCapsNetConfig(), 2, 317_194),
        (small(), 2, 68_754),
        (VariationalCapsNetConfig(), 2, 68_714),
        (VariationalCapsNetConfig(), 1, 67_114),
    ],
)
def test_parameters_are_those_of_the_papers(config, channels, parameters):
    assert parameters == count_parameters(lambda: config.build((32, 32, channels), 5, nnx.Rngs(0)))


@pytest.mark.parametrize("size", [(17, 31), (40, 26)])
def test_the_last_map_has_the_size_that_is_computed(size):
    config = MatrixCapsNetConfig(2, 2, (2, 2))
    network = nnx.eval_shape(lambda: config.build((*size, 3), 5, nnx.Rngs(0)))
    shapes = nnx.eval_shape(lambda network: network.activations(jnp.zeros((1, *size, 3))), network)
    assert set(shapes) == {"convolution", "primary capsules", "capsules 1", "capsules 2"}
    assert shapes["capsules 2"].shape == (1, *config.places((*size, 3))[-1].size, 2 * 16)


@functools.cache
def trained(config):
    """A network and the metrics of two steps without an update, in training."""
    network = nnx.jit(lambda: config().build((13, 13, 1), 5, nnx.Rngs(0)))()
    loss = nnx.jit(lambda network, images, labels: in_mode(network, training=True).loss(
        types.SimpleNamespace(images=images, labels=labels)
    ))  # fmt: skip
    return network, [loss(network, BATCH.images, BATCH.labels) for _ in range(2)]


def matrix():
    return MatrixCapsNetConfig(3, 2, (2,), margin_period=1)


def variational():
    return VariationalCapsNetConfig(3, 2, (2,))


def test_every_loss_is_a_step_of_the_margin():
    network, steps = trained(matrix)
    assert int(network.steps_done[...]) == 2
    margins = [float(metrics["margin"]) for _, metrics in steps]
    np.testing.assert_allclose(margins, [0.2142094, 0.2374656], rtol=1e-5)
    assert float(steps[1][0]) > float(steps[0][0])


def test_statistics_of_batches_are_kept():
    network, _ = trained(variational)
    means = dict(nnx.to_flat_state(nnx.state(network, nnx.BatchStat)))
    # Of the convolution, both of the primary capsules, and the activations of both layers.
    assert len(means) == 2 * 5
    assert all(np.any(leaf[...]) for leaf in means.values())


@pytest.mark.parametrize("config", [matrix, variational])
def test_the_prediction_is_the_most_active_class(config):
    network = in_mode(trained(config)[0], training=False)
    both = nnx.jit(lambda network: (network(IMAGES), network.classes(IMAGES)))
    output, (*_, activations) = both(network)
    np.testing.assert_allclose(output.logits, np.log(activations), rtol=1e-5)
    if config is matrix:
        np.testing.assert_allclose(output.probabilities, activations, rtol=1e-5)
    assert output.poses.shape == (4, 5, 16)
    assert output.couplings.shape == (4, 2 * 2 * 2, 5)
    winners = np.argmax(activations, axis=1)
    np.testing.assert_array_equal(output.features, output.poses[np.arange(4), winners])


def test_cross_entropy_trains_the_softmax_of_the_logits():
    network = in_mode(trained(variational)[0], training=False)
    output = nnx.jit(lambda network: network(IMAGES))(network)
    assert output.probabilities is None
    shares = np.exp(np.float64(output.logits))
    shares /= shares.sum(axis=1, keepdims=True)
    labels = np.asarray(BATCH.labels)
    expected = -np.mean(np.log(shares[np.arange(len(labels)), labels]))
    loss, _ = nnx.jit(lambda network: network.loss(BATCH))(network)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_coordinates_are_in_the_last_column_of_the_first_two_rows():
    matrices = coordinates(2, 4, 9).reshape(2, 4, 3, 3)
    assert matrices[1, 2].tolist() == [[0, 0, 1.0], [0, 0, 0.75], [0, 0, 0]]


def test_votes_say_where_they_come_from():
    random = np.random.default_rng(0)
    poses = np.float32(random.normal(size=(1, 2, 4, 3, 4)))
    layer = ClassCapsules(
        (2, 4), 3, 4, 2, routing=UniformRouting(), coordinate_scale=0.1, rngs=nnx.Rngs(0)
    )
    kernel = np.asarray(layer.capsules.kernel[...])
    votes = np.einsum("rctxy,tyjz->rctjxz", poses[0].reshape(2, 4, 3, 2, 2), kernel)
    votes[..., 0, 1] += 0.1 * np.array([0.5, 1.0])[:, None, None, None]
    votes[..., 1, 1] += 0.1 * np.array([0.25, 0.5, 0.75, 1.0])[:, None, None]
    mean = votes.mean(axis=(0, 1, 2)).reshape(2, 4)
    squared = np.sum(mean**2, axis=1, keepdims=True)
    routed = layer(poses, np.ones((1, 2, 4, 3), np.float32))
    np.testing.assert_allclose(routed.poses[0], mean * np.sqrt(squared) / (1 + squared), atol=1e-6)


def test_each_type_of_primary_capsules_is_normalised():
    layer = MatrixPrimaryCapsules(3, 2, 4, batch_norm=True, rngs=nnx.Rngs(0))
    features = np.random.default_rng(0).normal(5.0, 3.0, size=(8, 6, 5, 3)).astype(np.float32)
    capsules = nnx.jit(lambda layer, features: layer(features))(layer, features)
    assert capsules.poses.shape == (8, 6, 5, 2, 4)
    assert capsules.activations.shape == (8, 6, 5, 2)
    np.testing.assert_allclose(np.mean(capsules.poses, axis=(0, 1, 2, 4)), [0, 0], atol=1e-4)
    np.testing.assert_allclose(np.std(capsules.poses, axis=(0, 1, 2, 4)), [1, 1], rtol=1e-3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dim": 1}, "dim=1: must be at least 4"),
        ({"dim": 6}, "in_dim=6, out_dim=6: matrix poses are square"),
        ({"coordinate_scale": -1.0}, r"coordinate_scale=-1.0: must be in \[0,"),
    ],
)
def test_class_capsules_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        ClassCapsules(
            (2, 2), 3, fields.pop("dim", 4), 2, routing=UniformRouting(), **fields, rngs=nnx.Rngs(0)
        )
