import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import AttentionCapsNetConfig
from capsnet.layers import ConvolutionalCapsules, DenseCapsules
from capsnet.networks.attention import cifar100, route_concurrently, route_sequentially
from capsnet.routing import InvertedAttentionRouting, Sizes
from cnn import count_parameters
from cnn.output import in_mode
from tests.capsnet import reference

BATCH, SIZES = 3, Sizes(6, 4, 5, 4)
TINY = AttentionCapsNetConfig((2, 3), (1, 1), 2, 2, (1,), (3,))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


SCALE, BIAS = 1.0 + 0.3 * normal(1, 4), 0.3 * normal(2, 4)
VOTES = 2.0 * normal(0, BATCH, *SIZES[::2], SIZES.out_dim)


def router(iterations=1):
    built = InvertedAttentionRouting(iterations).build(SIZES, nnx.Rngs(0))
    # The module's own weights are float32.
    built.norm.scale[...], built.norm.bias[...] = jnp.float32(SCALE), jnp.float32(BIAS)
    return built


# One program for all numbers of passes: `previous` joins them.
start = jax.jit(lambda votes: router()(votes))
go_on = jax.jit(lambda votes, previous: router()(votes, previous=previous))


def test_matches_the_slow_reference():
    poses = couplings = None
    with jax.enable_x64(True):
        found = start(VOTES)
        assert found.poses.dtype == np.float64
        for _ in range(3):
            poses, couplings = reference.inverted_attention_pass(VOTES, poses, SCALE, BIAS)
            np.testing.assert_allclose(found.poses, poses, atol=1e-6)
            np.testing.assert_allclose(found.couplings, couplings, atol=1e-6)
            found = go_on(VOTES, found.poses)
    assert np.ptp(couplings) > 0.3


def test_iterations_go_on_from_the_poses_before():
    votes = np.float32(VOTES)
    found = start(votes)
    np.testing.assert_array_equal(found.couplings, np.full((BATCH, 6, 5), np.float32(1 / 5)))
    for _ in range(2):
        found = go_on(votes, found.poses)
    together = jax.jit(lambda votes: router(3)(votes))(votes)
    np.testing.assert_allclose(together.poses, found.poses, atol=1e-5)
    np.testing.assert_allclose(together.couplings, found.couplings, atol=1e-5)


def test_parents_compete_for_a_child_by_hand():
    # Votes of four components agree with poses by 2 log 3 and 0, so logits are log 3 and 0.
    votes, poses = np.zeros((2, 1, 1, 2, 4), np.float32)[0], np.zeros((1, 2, 4), np.float32)
    votes[0, 0, 0] = [1.0, 0.0, 0.0, 0.0]
    poses[0, 0] = [2.0 * np.log(3.0), 7.0, 0.0, 0.0]
    built = InvertedAttentionRouting(1).build(Sizes(1, 4, 2, 4), nnx.Rngs(0))
    routed = jax.jit(lambda votes, poses: built(votes, previous=poses))(votes, poses)
    np.testing.assert_allclose(routed.couplings[0, 0], [0.75, 0.25], rtol=1e-6)
    # (0.75, 0, 0, 0) less its mean of 3 / 16, by the root of its variance of 27 / 256.
    expected = np.array([3.0, -1.0, -1.0, -1.0]) / np.sqrt(3.0)
    np.testing.assert_allclose(routed.poses[0, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(routed.poses[0, 1], np.zeros(4), atol=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    votes, direction = jnp.float32(VOTES), jnp.float32(normal(3, *VOTES.shape))

    def along(step):
        routed = router(2)(votes + step * direction)
        return jnp.sum(jnp.sin(routed.poses)) + jnp.sum(jnp.sin(3.0 * routed.couplings))

    slope, step = jax.jit(jax.value_and_grad(along)), 2.0**-7
    difference = (slope(step)[0] - slope(-step)[0]) / (2 * step)
    np.testing.assert_allclose(slope(0.0)[1], difference, rtol=5e-3)


def test_poses_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"poses of shape \(3, 2, 4\): must be .* \(3, 5, 4\)"):
        router()(np.float32(VOTES), previous=np.zeros((3, 2, 4), np.float32))


def test_poses_of_one_component_leave_the_normalisation_nothing():
    with pytest.raises(ValueError, match="pose_side=1: must be at least 2"):
        AttentionCapsNetConfig(pose_side=1).build((28, 28, 1), 10, nnx.Rngs(0))
    routing = InvertedAttentionRouting()
    with pytest.raises(ValueError, match="out_dim=1: must be at least 2"):
        DenseCapsules(7, 4, 3, 1, routing=routing, rngs=nnx.Rngs(0))


def stack(iterations=1):
    """Layers from seven capsules of 2x2 matrices to four, three and two."""
    layers = []
    for number, (below, above) in enumerate([(7, 4), (4, 3), (3, 2)]):
        layer = DenseCapsules(
            below,
            4,
            above,
            4,
            routing=InvertedAttentionRouting(iterations),
            pose="matrix",
            kernel_init=nnx.initializers.normal(1.0),
            rngs=nnx.Rngs(number),
        )
        layer.routing.norm.scale[...], layer.routing.norm.bias[...] = SCALE, BIAS
        layers.append(layer)
    return layers


@functools.cache
def schedules():
    """Layers, the poses below them, and both schedules with one and with three passes."""
    layers, poses = stack(), np.float32(normal(0, 2, 7, 4))

    @jax.jit
    def route(poses):
        return [
            (route_concurrently(layers, poses, passes), route_sequentially(stack(passes), poses))
            for passes in (1, 3)
        ]

    return layers, poses, route(poses)


def test_layers_route_concurrently_from_their_old_neighbours():
    layers, poses, (_, (found, _)) = schedules()
    weights = [(np.float64(layer.kernel[...]), SCALE, BIAS) for layer in layers]
    expected = reference.concurrent_attention(np.float64(poses).reshape(2, 7, 2, 2), weights, 3)
    for routed, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(routed.poses, wanted.reshape(2, -1, 4), atol=1e-5)


def test_schedules_are_the_same_for_one_pass():
    _, _, ((concurrent, sequential), _) = schedules()
    for one, two in zip(concurrent, sequential, strict=True):
        np.testing.assert_array_equal(one.poses, two.poses)
        share = 1.0 / one.poses.shape[1]
        np.testing.assert_allclose(one.couplings, np.full_like(one.couplings, share), rtol=1e-6)


def test_schedules_differ_from_the_second_pass_on():
    _, _, (_, (concurrent, sequential)) = schedules()
    # Nothing below the lowest layer changes, so that it takes the same passes either way.
    np.testing.assert_allclose(concurrent[0].poses, sequential[0].poses, atol=1e-6)
    assert np.abs(concurrent[1].poses - sequential[1].poses).max() > 1e-2


def test_votes_of_all_passes_of_a_layer_are_made_once(monkeypatch):
    made, votes = [], DenseCapsules.votes
    monkeypatch.setattr(
        DenseCapsules, "votes", lambda self, poses: made.append(poses) or votes(self, poses)
    )
    network = abstract(dataclasses.replace(TINY, iterations=3, concurrent=False))
    nnx.eval_shape(lambda network: network(jnp.zeros((1, 32, 32, 3))).logits, network)
    assert len(made) == len(network.convolutional_capsules) + len(network.dense_capsules) == 3


def test_a_map_goes_on_from_the_poses_at_its_places():
    layer = ConvolutionalCapsules(
        2, 4, 3, 4, routing=InvertedAttentionRouting(1), pose="matrix", rngs=nnx.Rngs(0)
    )
    poses, previous = np.float32(normal(0, 2, 4, 5, 2, 4)), np.float32(normal(1, 2, 2, 3, 3, 4))
    run = nnx.jit(lambda layer, poses, previous: layer(poses, previous=previous))
    routed = run(layer, poses, previous)
    assert routed.poses.shape == (2, 2, 3, 3, 4)
    window = poses[:, 1:4, 2:5].reshape(2, 18, 4)
    alone = run(layer.capsules, window, previous[:, 1, 2])
    np.testing.assert_allclose(routed.poses[:, 1, 2], alone.poses, atol=1e-5)
    np.testing.assert_allclose(routed.couplings[:, 1, 2], alone.couplings, atol=1e-5)


def abstract(config, shape=(32, 32, 3), classes=10):
    return nnx.eval_shape(lambda: config.build(shape, classes, nnx.Rngs(0)))


def test_parameters_of_the_paper():
    network = abstract(AttentionCapsNetConfig())
    assert count_parameters(lambda: network) == 1_828_817
    assert network.dense_capsules[0].kernel.size == 128_000
    assert count_parameters(lambda: network.backbone) == 1_340_224
    assert count_parameters(lambda: abstract(cifar100(), classes=100)) == 2_799_629


def test_votes_have_the_variance_of_the_paper():
    network = nnx.jit(
        lambda: AttentionCapsNetConfig((8,), (1,), 8).build((8, 8, 1), 10, nnx.Rngs(0))
    )()
    # The root of out / (sqrt(dim) * in * kernel area), where the layers are 3x3 and 1x1.
    deviations = [
        np.std(network.convolutional_capsules[0].capsules.kernel[...]),
        np.std(network.dense_capsules[0].kernel[...]),
    ]
    expected = np.sqrt([8 / (4 * 8 * 9), 10 / (4 * 8 * 1)])
    np.testing.assert_allclose(deviations, expected, rtol=0.05)


@pytest.mark.parametrize("concurrent", [True, False])
def test_what_the_network_gives(concurrent):
    config = AttentionCapsNetConfig((2, 3), (1, 1), 2, 2, (1,), (3,), concurrent=concurrent)
    network = in_mode(abstract(config, (6, 8, 2), 5), training=False)
    images = jnp.zeros((4, 6, 8, 2))
    output = nnx.eval_shape(lambda network: network(images), network)
    shapes = {name: part.shape for name, part in output._asdict().items() if part is not None}
    assert shapes == {
        "logits": (4, 5),
        "features": (4, 4),
        "poses": (4, 5, 4),
        "couplings": (4, 3, 5),
    }
    layers = nnx.eval_shape(lambda network: network.activations(jnp.zeros((1, 9, 4, 2))), network)
    assert {name: layer.shape for name, layer in layers.items()} == {
        "convolution": (1, 9, 4, 2),
        "block 1": (1, 9, 4, 2),
        "block 2": (1, 5, 2, 3),
    }


def test_stages_and_blocks_fit():
    with pytest.raises(ValueError, match=r"blocks=\(3, 4\): must be one number for each of the 1"):
        AttentionCapsNetConfig(channels=(4,)).build((28, 28, 1), 10, nnx.Rngs(0))
