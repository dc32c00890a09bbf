import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import ConvolutionalNetworkConfig, pool
from cnn.networks import plain
from data.batches import Batch


def parameters(config, image_shape=(28, 28, 1)):
    model = nnx.eval_shape(lambda: config.build(image_shape, 10, nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (plain.paper, 35_445_522),
        (plain.matched, 8_214_147),
        (plain.wide_kernels, 5_240_762),
        (plain.small, 454_922),
    ],
)
def test_parameter_counts(preset, expected):
    assert parameters(preset()) == expected


def test_matched_is_within_a_thousandth_of_capsnet():
    assert parameters(plain.matched()) == pytest.approx(8_215_568, rel=1e-3)


TINY = ConvolutionalNetworkConfig(channels=(4, 8), pooling=("max2", "average2"), dense=(16,))


def test_loss_is_cross_entropy_and_accuracy_is_a_share():
    model = nnx.view(TINY.build((12, 10, 3), 5, nnx.Rngs(0)), deterministic=True)
    images = jax.random.uniform(jax.random.key(0), (6, 12, 10, 3))
    labels = jnp.array([0, 1, 2, 3, 4, 0])
    loss, metrics = model.loss(Batch(images, labels))
    logits = np.asarray(model(images).logits, np.float64)
    chosen = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(chosen[np.arange(6), labels]).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], (logits.argmax(axis=1) == labels).mean())


def test_activations_are_maps_of_images_of_any_size():
    images = jnp.zeros((2, 24, 20, 3))
    layers = jax.eval_shape(lambda: TINY.build((12, 10, 3), 5, nnx.Rngs(0)).activations(images))
    assert {name: layer.shape for name, layer in layers.items()} == {
        "convolution 1": (2, 24, 20, 4),
        "pooling 1": (2, 12, 10, 4),
        "convolution 2": (2, 12, 10, 8),
        "pooling 2": (2, 6, 5, 8),
    }


def test_dropout_acts_in_training_only():
    model = TINY.build((12, 12, 1), 5, nnx.Rngs(0))
    images = jax.random.uniform(jax.random.key(0), (2, 12, 12, 1))
    assert not np.allclose(model(images).logits, model(images).logits)
    still = nnx.view(model, deterministic=True)
    np.testing.assert_array_equal(still(images).logits, still(images).logits)


def test_pooling_by_hand():
    features = jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(pool(features, "max2")[0, :, :, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(
        pool(features, "average2")[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]]
    )
    assert pool(features[:, :3, :3], "max2").shape == (1, 1, 1, 1)
    assert pool(features, "none") is features


def test_bfloat16_answers_in_float32():
    config = ConvolutionalNetworkConfig(
        channels=(4,), pooling=("average2",), dense=(8,), dtype="bfloat16"
    )
    model = config.build((8, 8, 1), 3, nnx.Rngs(0))
    assert model(jnp.zeros((1, 8, 8, 1))).logits.dtype == jnp.float32


@pytest.mark.parametrize(
    ("fields", "image_shape", "message"),
    [
        ({"pooling": ("max2",)}, (28, 28, 1), "one pooling for each of the 2"),
        ({"dropout": 1.0}, (28, 28, 1), "dropout=1.0"),
        ({"dtype": "double"}, (28, 28, 1), "dtype='double'"),
        ({"pooling": ("max2", "median")}, (28, 28, 1), "'median': choose one of none"),
        ({"padding": "VALID"}, (4, 4, 1), "4x4 pixels.*smallest side that fits is 16"),
        ({"pooling": ("max2", "max2")}, (3, 3, 1), "3x3 pixels.*smallest side that fits is 4"),
    ],
)
def test_what_does_not_fit_is_an_error(fields, image_shape, message):
    config = ConvolutionalNetworkConfig(
        **{"channels": (4, 8), "pooling": ("max2", "max2"), "dense": (16,), **fields}
    )
    with pytest.raises(ValueError, match=message):
        config.build(image_shape, 10, nnx.Rngs(0))
