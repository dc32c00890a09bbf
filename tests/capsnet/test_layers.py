import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import DenseCapsules, PrimaryCapsules, squash
from capsnet.routing import DynamicRouting, UniformRouting
from cnn import convolve

run = nnx.jit(lambda layer, inputs: layer(inputs))


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_neighbouring_channels_form_a_primary_capsule():
    layer = PrimaryCapsules(3, 4, 8, kernel_size=3, rngs=nnx.Rngs(0))
    features = normal(2, 9, 9, 3)
    capsules = run(layer, features)
    channels = np.asarray(convolve(features, layer.convolution.kernel[...], strides=(2, 2)))
    assert channels.shape == (2, 4, 4, 32)
    assert capsules.shape == (2, 4 * 4 * 4, 8)
    for row, column, kind in [(0, 0, 0), (0, 0, 3), (2, 1, 2), (3, 3, 1)]:
        group = channels[:, row, column, 8 * kind : 8 * kind + 8]
        index = (row * 4 + column) * 4 + kind
        np.testing.assert_allclose(capsules[:, index], squash(group), atol=1e-5)


def test_a_map_has_the_capsules_where_they_are():
    layer = PrimaryCapsules(3, 4, 8, kernel_size=3, rngs=nnx.Rngs(0))
    features = normal(2, 9, 7, 3)
    capsules = np.asarray(run(layer, features)).reshape(2, 4, 3, 4, 8)
    maps = nnx.jit(lambda layer, features: layer.map(features))(layer, features)
    np.testing.assert_array_equal(maps.reshape(capsules.shape), capsules)


def test_primary_capsules_have_no_relu():
    layer = PrimaryCapsules(1, 2, 4, kernel_size=3, rngs=nnx.Rngs(0))
    assert np.min(run(layer, normal(4, 7, 7, 1))) < 0


def test_coupling_scales_before_the_bias():
    layer = PrimaryCapsules(
        1,
        2,
        4,
        kernel_size=3,
        coupling=1 / 2,
        bias_init=nnx.initializers.constant(0.1),
        rngs=nnx.Rngs(0),
    )
    features = normal(1, 3, 3, 1)
    channels = convolve(features, layer.convolution.kernel[...], strides=(2, 2))[0, 0, 0]
    np.testing.assert_allclose(
        run(layer, features)[0], squash((channels / 2 + 0.1).reshape(2, 4)), atol=1e-6
    )


def test_votes_are_matrix_products():
    layer = DenseCapsules(6, 8, 3, 5, rngs=nnx.Rngs(0))
    capsules = normal(2, 6, 8)
    votes = np.asarray(layer.votes(capsules))
    kernel = np.asarray(layer.kernel[...])
    for i, j in [(0, 0), (5, 2), (3, 1)]:
        np.testing.assert_allclose(votes[1, i, j], capsules[1, i] @ kernel[i, :, j], atol=1e-5)


def test_routing_gets_the_bias():
    layer = DenseCapsules(2, 3, 2, 4, bias_init=nnx.initializers.constant(0.1), rngs=nnx.Rngs(0))
    poses = run(layer, np.zeros((1, 2, 3), np.float32)).poses
    np.testing.assert_allclose(poses[0, 0], squash(jnp.full(4, 0.1)), rtol=1e-6)


def test_capsules_start_as_long_whatever_their_number():
    capsules = jax.jit(squash)(jax.random.normal(jax.random.key(0), (4, 200, 8)))
    evenly = DynamicRouting(iterations=1)
    means = [
        np.linalg.norm(
            run(
                DenseCapsules(200, 8, classes, 16, routing=evenly, rngs=nnx.Rngs(1)), capsules
            ).poses,
            axis=-1,
        ).mean()
        for classes in (2, 10, 40)
    ]
    assert 0.1 < means[1] < 0.6
    np.testing.assert_allclose(means, means[1], rtol=0.1)


def test_shared_matrices_are_those_of_the_types():
    poses = normal(2, 6, 4)
    each = DenseCapsules(6, 4, 3, 5, rngs=nnx.Rngs(0))
    by_type = DenseCapsules(6, 4, 3, 5, transformations=2, rngs=nnx.Rngs(0))
    each.kernel[...] = jnp.tile(by_type.kernel[...], (3, 1, 1, 1))
    assert by_type.kernel.shape == (2, 4, 3, 5)
    np.testing.assert_allclose(by_type.votes(poses), each.votes(poses), atol=1e-6)


AVERAGED = [{}, {"transformations": 2}, {"transformations": 1}, {"pose": "matrix"}]
AVERAGED.append({"pose": "matrix", "transformations": 3})


@pytest.mark.parametrize("fields", AVERAGED)
def test_the_mean_of_votes_is_routed_without_the_votes(fields):
    layer = DenseCapsules(6, 4, 3, 4, routing=UniformRouting(), **fields, rngs=nnx.Rngs(0))
    poses = normal(2, 6, 4)
    expected = layer.route(layer.votes(poses), poses).with_activations()
    for ours, theirs in zip(layer(poses), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    votes = np.asarray(layer.votes(poses), np.float64).mean(axis=1)
    squared = np.sum(votes**2, axis=-1, keepdims=True)
    by_hand = votes * np.sqrt(squared) / (1.0 + squared)
    np.testing.assert_allclose(layer(poses).poses, by_hand, atol=1e-6)

    def summed(layer, poses, route):
        return jnp.sum(jnp.sin(route(layer, poses).poses))

    def all_votes(layer, poses):
        return layer.route(layer.votes(poses), poses)

    gradients = [
        nnx.grad(summed, argnums=(0, 1))(layer, poses, route)
        for route in (DenseCapsules.__call__, all_votes)
    ]
    for ours, theirs in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_mean_of_votes_takes_no_memory_of_votes():
    batch, size = 16, (1152, 8, 10, 16)
    layer = DenseCapsules(*size, routing=UniformRouting(), transformations=32, rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)

    def loss(state, poses):
        return jnp.sum(nnx.merge(graph, state)(poses).poses ** 2)

    lowered = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(state, np.zeros((batch, *size[:2])))
    votes = 4 * batch * 1152 * 10 * 16
    assert lowered.compile().memory_analysis().temp_size_in_bytes < votes / 8


@pytest.mark.parametrize("fields", [{}, {"transformations": 2}, {"pose": "matrix"}])
def test_another_number_of_capsules_is_an_error(fields):
    layer = DenseCapsules(6, 4, 3, 4, **fields, rngs=nnx.Rngs(0))
    for count in (3, 12):
        message = rf"poses of shape \(2, {count}, 4\): .* \[in, in_dim\] = \(6, 4\)"
        with pytest.raises(ValueError, match=message):
            layer(normal(2, count, 4))


def test_matrix_poses_are_multiplied_by_matrices():
    layer = DenseCapsules(6, 9, 2, 9, transformations=3, pose="matrix", rngs=nnx.Rngs(0))
    assert layer.kernel.shape == (3, 3, 2, 3)
    poses = normal(2, 6, 9)
    votes, kernel = np.asarray(layer.votes(poses)), np.asarray(layer.kernel[...])
    for i, j in [(0, 0), (5, 1), (3, 1)]:
        expected = poses[1, i].reshape(3, 3) @ kernel[i % 3, :, j]
        np.testing.assert_allclose(votes[1, i, j].reshape(3, 3), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transformations": 4}, "transformations=4: must divide in_capsules=6"),
        ({"pose": "tensor"}, "pose='tensor'"),
        ({"pose": "matrix"}, "in_dim=4, out_dim=5: matrix poses are square"),
        ({"routing": DynamicRouting(iterations=0)}, "iterations=0"),
    ],
)
def test_layers_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        DenseCapsules(6, 4, 3, 5, **fields, rngs=nnx.Rngs(0))
