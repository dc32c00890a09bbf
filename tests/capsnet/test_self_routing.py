import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import SelfRoutingCapsNetConfig
from capsnet.layers import DenseCapsules
from capsnet.routing import Capsules, SelfRouting, Sizes
from capsnet.routing.self_routing import activation_shares
from cnn import count_parameters
from cnn.backbones import ConvolutionalBackbone
from cnn.output import in_mode
from tests.capsnet import reference

BATCH, SIZES = 3, Sizes(6, 4, 5, 3)
TINY = SelfRoutingCapsNetConfig((3, 4), (1, 2), types=2, pose_dim=3, hidden_layers=1)


def route(votes, poses, activations, weights, bias):
    router: Any = SelfRouting().build(SIZES, nnx.Rngs(0))
    # The module's own weights are float32.
    router.kernel[...], router.bias[...] = jnp.float32(weights), jnp.float32(bias)
    return router(votes, Capsules(poses, activations))


compiled = jax.jit(route)


def inputs(scale=1.0):
    random = np.random.default_rng(0)
    weights = random.normal(size=(SIZES.in_capsules, SIZES.in_dim, SIZES.out_capsules))
    return (
        random.normal(size=(BATCH, SIZES.in_capsules, SIZES.out_capsules, SIZES.out_dim)),
        random.normal(size=(BATCH, SIZES.in_capsules, SIZES.in_dim)),
        random.uniform(size=(BATCH, SIZES.in_capsules)),
        scale * weights,
        scale * random.normal(size=(SIZES.in_capsules, SIZES.out_capsules)),
    )


def test_matches_the_slow_reference():
    votes, poses, activations, *weights = inputs()
    activations[1] = 0.0
    with jax.enable_x64(True):
        routed = compiled(votes, poses, activations, *weights)
    assert routed.poses.dtype == np.float64
    expected = reference.self_routing(votes, poses, activations, *weights)
    for part, wanted in zip(routed, expected, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-6)


def test_at_first_every_class_gets_the_same():
    routed = compiled(*inputs(scale=0.0))
    np.testing.assert_array_equal(routed.couplings, np.full((BATCH, 6, 5), np.float32(1 / 5)))
    np.testing.assert_allclose(routed.activations, np.full((BATCH, 5), 1 / 5), rtol=1e-6)


def test_activations_add_up_to_one():
    for scale in (1.0, 100.0):
        activations = compiled(*inputs(scale)).activations
        np.testing.assert_allclose(activations.sum(axis=1), np.ones(BATCH), rtol=1e-5)
        assert np.ptp(activations) > 0.1


def test_by_hand():
    # Two input capsules, of which the first is three times as active; a softmax of log 4 and 0.
    router = SelfRouting().build(Sizes(2, 1, 2, 1), nnx.Rngs(0))
    router.kernel[...] = np.log(np.array([[[4, 1]], [[1, 4]]], np.float32))
    votes = np.array([[[[1], [2]], [[3], [4]]]], np.float32)
    capsules = Capsules(np.ones((1, 2, 1), np.float32), np.array([[0.9, 0.3]], np.float32))
    routed = jax.jit(lambda votes, capsules: router(votes, capsules))(votes, capsules)
    np.testing.assert_allclose(routed.couplings[0], [[0.8, 0.2], [0.2, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(routed.activations[0], [0.65, 0.35], rtol=1e-6)
    # (0.9 * 0.8 * 1 + 0.3 * 0.2 * 3) / 0.78 and (0.9 * 0.2 * 2 + 0.3 * 0.8 * 4) / 0.42.
    np.testing.assert_allclose(routed.poses[0, :, 0], [0.9 / 0.78, 1.32 / 0.42], rtol=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    given = [jnp.asarray(part, jnp.float32) for part in inputs()]
    random = np.random.default_rng(1)
    direction = [jnp.asarray(random.normal(size=part.shape), jnp.float32) for part in given]

    def along(step):
        moved = [part + step * way for part, way in zip(given, direction, strict=True)]
        return sum(jnp.sum(jnp.sin(part)) for part in route(*moved))

    slope, value = jax.jit(lambda step: (jax.grad(along)(step), along(step))), 2.0**-7
    difference = (slope(value)[1] - slope(-value)[1]) / (2 * value)
    np.testing.assert_allclose(slope(0.0)[0], difference, rtol=2e-3)


def test_shares_do_not_depend_on_the_scale():
    activations = jnp.asarray([[0.1, 0.3, 0.6]])
    scales = jnp.asarray([1.0, 1e-30, 1e-36])
    weight = jnp.asarray([1.0, -2.0, 3.0])

    def total(scale):
        return activation_shares(activations * scale)[0] @ weight

    found, slopes = jax.jit(jax.vmap(jax.value_and_grad(total)))(scales)
    np.testing.assert_allclose(found, np.full(3, 1.3), rtol=1e-5)
    assert np.all(np.isfinite(slopes))


def test_capsules_none_of_which_is_active_count_alike():
    given = np.float32([[0.0, 0.0], [0.5, np.nan], [0.5, 1.5]])
    shares = np.asarray(jax.jit(activation_shares)(given))
    np.testing.assert_array_equal(shares[[0, 2]], [[0.5, 0.5], [0.25, 0.75]])
    assert np.isnan(shares[1]).all()


def test_sizes_that_do_not_fit_are_named():
    router = SelfRouting().build(SIZES, nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"poses of shape \(3, 7, 4\): must be .* \(6, 4\)"):
        router.couplings(np.zeros((3, 7, 4), np.float32))


def test_parameters_of_the_paper():
    def count(**fields):
        config = SelfRoutingCapsNetConfig(**fields)
        return count_parameters(lambda: config.build((32, 32, 1), 5, nnx.Rngs(0)))

    assert count_parameters(lambda: ConvolutionalBackbone(1, rngs=nnx.Rngs(0))) == 143_664
    assert count() == 814_960
    assert count(hidden_layers=1) == 814_960 + 2_516_992


@pytest.fixture(scope="module")
def network() -> Any:
    return in_mode(nnx.jit(lambda: TINY.build((7, 5, 2), 3, nnx.Rngs(0)))(), training=False)


run = nnx.jit(lambda model, images: model(images))


def images():
    return np.random.default_rng(0).uniform(size=(4, 7, 5, 2)).astype(np.float32)


def test_the_first_loss_is_the_logarithm_of_the_number_of_classes(network):
    batch = types.SimpleNamespace(images=images(), labels=np.array([0, 1, 2, 1]))
    loss, metrics = jax.jit(lambda: network.loss(batch))()
    assert float(loss) == pytest.approx(np.log(3), rel=1e-5)
    assert set(metrics) == {"accuracy"}


def test_logits_are_logarithms_of_shares(network):
    network.class_routing.bias[...] = np.random.default_rng(0).normal(size=(24, 3))
    output = run(network, images())
    np.testing.assert_allclose(np.exp(output.logits).sum(axis=1), np.ones(4), rtol=1e-5)
    assert output.couplings.shape == (4, 24, 3)
    assert output.features.shape == (4, 24 * 3)
    assert output.lengths is output.poses is output.probabilities is None
    network.class_routing.bias[...] = np.zeros((24, 3))


def test_activations_are_maps_of_images_of_any_size(network):
    layers = jax.eval_shape(lambda: network.activations(jnp.zeros((2, 9, 4, 2))))
    assert {name: layer.shape for name, layer in layers.items()} == {
        "convolution 1": (2, 9, 4, 3),
        "convolution 2": (2, 5, 2, 4),
        "primary capsules": (2, 5, 2, 6),
    }


def test_capsules_stack_by_their_activations():
    layer: Any = DenseCapsules(6, 4, 5, 3, routing=SelfRouting(), rngs=nnx.Rngs(0))
    _, poses, activations, weights, _ = map(np.float32, inputs())
    layer.routing.kernel[...] = weights
    routed = nnx.jit(lambda layer: layer(poses, activations))(layer)
    np.testing.assert_allclose(routed.activations.sum(axis=1), np.ones(BATCH), rtol=1e-5)
    alone = compiled(layer.votes(poses), poses, activations, weights, np.zeros((6, 5), np.float32))
    np.testing.assert_allclose(routed.poses, alone.poses, atol=1e-5)
