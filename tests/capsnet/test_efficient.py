import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from capsnet import DepthwiseCapsules, EfficientCapsNetConfig, losses
from capsnet.routing import Routed, Routing, UniformRouting
from cnn.decoder import DenseDecoder
from cnn.output import in_mode
from data.batches import Batch
from tests.capsnet import reference

SMALL = {
    "channels": (4, 8),
    "kernel_sizes": (3, 3),
    "strides": (1, 2),
    "primary_dim": 4,
    "class_dim": 3,
    "decoder": DenseDecoder((5,)),
}
SHAPE, CLASSES = (12, 10, 2), 4
run = nnx.jit(lambda model, images: model(images))
# Of a network in training, so that the running averages change.
learn = nnx.jit(lambda model, data: (model.loss(data), model(data.images)))


@functools.cache
def state(dtype="float32"):
    config = EfficientCapsNetConfig(**SMALL, dtype=dtype)
    return nnx.split(nnx.jit(lambda: config.build(SHAPE, CLASSES, nnx.Rngs(0)))())


def build(*, training=False, dtype="float32"):
    return in_mode(nnx.merge(*state(dtype), copy=True), training=training)


def batch(count=4):
    random = np.random.default_rng(0)
    images = random.uniform(size=(count, *SHAPE)).astype(np.float32)
    return Batch(jnp.asarray(images), jnp.arange(count, dtype=jnp.int32) % CLASSES)


def parameters(config, image_shape=(28, 28, 1), num_classes=10):
    model = nnx.eval_shape(lambda: config.build(image_shape, num_classes, nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_parameter_counts():
    bare = EfficientCapsNetConfig(reconstruction_weight=0.0)
    assert parameters(bare) == 161_824
    assert parameters(EfficientCapsNetConfig()) == 161_824 + 1_411_344
    # Of 32x32 colour images: 2 channels more, a map of 11x11, capsules of 7 classes.
    grown = 2 * 25 * 32 + (11**2 - 9**2) * 128 - 3 * 16 * (8 * 16 + 1)
    assert parameters(bare, (32, 32, 3), 7) == 161_824 + grown


def test_a_depthwise_capsule_is_a_sum_over_the_map_of_its_channels():
    layer = DepthwiseCapsules(6, 3, (4, 5), rngs=nnx.Rngs(0))
    layer.bias[...] = jnp.arange(6.0) / 10.0
    features = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32)
    found = run(layer, features)
    assert found.shape == (2, 2, 3)
    kernel = np.float64(layer.kernel[...])[:, :, 0]
    for image, capsule in np.ndindex(2, 2):
        channels = slice(3 * capsule, 3 * capsule + 3)
        sums = np.sum(features[image, :, :, channels] * kernel[:, :, channels], axis=(0, 1))
        expected = reference.exponential_squash(sums + layer.bias[channels])
        np.testing.assert_allclose(found[image, capsule], expected, atol=1e-6)


def test_a_map_has_a_depthwise_capsule_at_every_place():
    layer = DepthwiseCapsules(6, 3, (4, 5), rngs=nnx.Rngs(0))
    features = np.random.default_rng(1).normal(size=(2, 5, 7, 6)).astype(np.float32)
    found = np.asarray(nnx.jit(lambda layer, features: layer.map(features))(layer, features))
    assert found.shape == (2, 2, 3, 6)
    for row, column in np.ndindex(2, 3):
        window = features[:, row : row + 4, column : column + 5]
        expected = np.asarray(run(layer, window)).reshape(2, 6)
        np.testing.assert_allclose(found[:, row, column], expected, atol=1e-6)


def test_sums_of_a_map_are_float32_in_bfloat16():
    features = np.random.default_rng(1).normal(size=(2, 4, 5, 6)).astype(np.float32)
    layer = DepthwiseCapsules(6, 3, (4, 5), dtype="bfloat16", rngs=nnx.Rngs(0))
    exact = DepthwiseCapsules(6, 3, (4, 5), rngs=nnx.Rngs(0))
    rounded = np.float32(jnp.bfloat16(features))
    exact.kernel[...] = layer.kernel[...].astype(jnp.bfloat16).astype(jnp.float32)
    # Not compiled, since a compiler may leave out the rounding of sums.
    np.testing.assert_allclose(layer.map(features), exact.map(rounded), atol=1e-6)


def test_depthwise_gradients_are_those_of_the_convolution():
    layer = DepthwiseCapsules(6, 3, (4, 5), rngs=nnx.Rngs(0))
    features = np.random.default_rng(2).normal(size=(2, 4, 5, 6)).astype(np.float32)
    total = nnx.jit(nnx.grad(lambda layer, maps: jnp.sum(jnp.sin(layer(maps))), argnums=(0, 1)))
    slide = nnx.jit(nnx.grad(lambda layer, maps: jnp.sum(jnp.sin(layer.map(maps))), argnums=(0, 1)))
    pairs = zip(*(jax.tree.leaves(each(layer, features)) for each in (total, slide)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_depthwise_layer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="dim=4: must divide channels=6"):
        DepthwiseCapsules(6, 4, (2, 2), rngs=nnx.Rngs(0))
    layer = DepthwiseCapsules(6, 3, (4, 5), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"features of shape \(1, 5, 5, 6\).*\(4, 5, 6\)"):
        layer(jnp.zeros((1, 5, 5, 6)))


def test_the_output_has_what_that_of_every_capsnet_has():
    output = run(build(), batch().images)
    assert output.logits.shape == (4, CLASSES)
    assert output.couplings.shape == (4, 2, CLASSES)
    assert output.poses.shape == (4, CLASSES, 3)
    assert output.reconstruction.shape == (4, *SHAPE)
    np.testing.assert_allclose(np.exp(output.logits), output.lengths, rtol=1e-5)
    assert np.all((output.lengths > 0) & (output.lengths < 1))


def test_the_loss_is_margin_and_reconstruction_and_moves_the_running_averages():
    model, data = build(training=True), batch()
    before = jax.tree.map(np.array, nnx.state(model, nnx.BatchStat))
    (loss, metrics), output = learn(model, data)
    margin = losses.margin_loss(output.lengths, jnp.eye(CLASSES)[data.labels])
    np.testing.assert_allclose(metrics["margin_loss"], jnp.mean(margin), rtol=1e-5)
    expected = metrics["margin_loss"] + 0.0005 * metrics["reconstruction_error"]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    after = jax.tree.leaves(nnx.state(model, nnx.BatchStat))
    assert len(after) == 4  # a mean and a variance for each convolution
    for old, new in zip(jax.tree.leaves(before), after, strict=True):
        assert not np.allclose(old, new)


def test_evaluated_images_do_not_see_each_other():
    model, data = build(), batch()
    whole = run(model, data.images).lengths
    other = run(model, data.images.at[1:].multiply(0.5)).lengths
    np.testing.assert_allclose(other[0], whole[0], atol=1e-6)


def test_activations_are_maps_of_images_of_any_size():
    layers = nnx.eval_shape(lambda: build().activations(jnp.zeros((2, 14, 16, 2))))
    assert {name: layer.shape for name, layer in layers.items()} == {
        "convolution 1": (2, 12, 14, 4),
        "convolution 2": (2, 5, 6, 8),
        "primary capsules": (2, 2, 4, 8),
    }


@dataclasses.dataclass(frozen=True)
class Summing(Routing):
    def __call__(self, votes, capsules):
        del capsules
        return Routed(jnp.tanh(jnp.sum(votes, axis=1)), jnp.ones(votes.shape[:3]))


@pytest.mark.parametrize("routing", [UniformRouting(), Summing()])
def test_any_routing_is_taken(routing):
    config = EfficientCapsNetConfig(**SMALL, routing=routing)
    images = jnp.zeros((3, *SHAPE))
    output = nnx.eval_shape(lambda: config.build(SHAPE, CLASSES, nnx.Rngs(0))(images))
    assert output.logits.shape == (3, CLASSES)
    # Self-attention has a bias for each pair of capsules, these have none.
    plain = EfficientCapsNetConfig(**SMALL)
    assert parameters(plain, SHAPE, CLASSES) - parameters(config, SHAPE, CLASSES) == 2 * CLASSES


def test_bfloat16_stays_close_and_gives_float32():
    exact, rough = (run(build(dtype=d), batch().images) for d in ("float32", "bfloat16"))
    assert rough.lengths.dtype == rough.poses.dtype == jnp.float32
    np.testing.assert_allclose(rough.lengths, exact.lengths, atol=0.02)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strides": (1, 2, 3)}, r"strides=\(1, 2, 3\): must be one for each of the 2 convol"),
        ({"kernel_sizes": (3,)}, r"kernel_sizes=\(3,\): must be one for each"),
        ({"primary_dim": 3}, "primary_dim=3: must divide the 8 channels"),
        ({"routing": capsnet.routing.DynamicRouting(iterations=0)}, "iterations=0"),
    ],
)
def test_values_that_no_network_can_have(fields, message):
    with pytest.raises(ValueError, match=message):
        EfficientCapsNetConfig(**{**SMALL, **fields}).build(SHAPE, CLASSES, nnx.Rngs(0))
