"""What a model's answer is read from, as evaluations get it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType

from capsnet.networks.sabour import CapsNetConfig
from cnn import NetworkOutput
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.networks.pooling import PoolingNetworkConfig
from stn.networks.mnist import TransformerNetworkConfig
from tests.training.tiny_model import Tiny, TinyConfig
from training.experiment import Experiment
from training.step import make_program

SHAPE = (28, 28, 1)
# Of different brightness, so that random weights tell them apart.
IMAGES = jnp.asarray(np.random.default_rng(0).random((3, *SHAPE), np.float32))
IMAGES = IMAGES * jnp.array([0.1, 0.5, 1.0])[:, None, None, None]
SMALL = {"downsamplings": 1, "layers": 2, "channels": 3}


def answers(config):
    """Features and output of a network of random weights, and its parameters."""
    graph, state = nnx.split(nnx.eval_shape(lambda: config.build(SHAPE, 4, nnx.Rngs(0))))
    random = np.random.default_rng(1)

    def fill(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        spread = max(np.prod(leaf.shape[:-1]), 1) ** -0.5
        return jnp.asarray(spread * random.normal(size=leaf.shape), leaf.dtype)

    state = jax.tree.map(fill, state)
    model = nnx.view(nnx.merge(graph, state), deterministic=True, raise_if_not_found=False)
    graph, state = nnx.split(model)

    @jax.jit
    def ask(images):
        model = nnx.merge(graph, state)
        return model.features(images), model(images)

    return *jax.device_get(ask(IMAGES)), model


@pytest.mark.parametrize(
    ("config", "width"),
    [
        (ConvolutionalNetworkConfig((3,), pooling=("max2",), dense=(7,)), 7),
        (PoolingNetworkConfig(**SMALL), 6),
        (PoolingNetworkConfig(**SMALL, head="dense", dense=5), 5),
        (TransformerNetworkConfig("cnn", transformers=0, parameters=3000), None),
        (TransformerNetworkConfig("fcn", pooling=True, parameters=60_000), None),
    ],
    ids=["cnn", "pooling", "dense", "cnn_400k", "behind a transformer"],
)
def test_logits_are_a_linear_map_of_features(config, width):
    features, output, model = answers(config)
    assert features.shape[0] == 3
    assert width is None or features.shape[1] == width
    # A network of the transformers' paper has its last layer within its classifier.
    last = getattr(model.classifier, "classifier", model.classifier)
    expected = features @ np.asarray(last.kernel[...]) + np.asarray(last.bias[...])
    np.testing.assert_allclose(output.logits, expected, atol=1e-5)
    assert np.std(output.logits, axis=0).max() > 1e-4


def test_a_capsule_networks_are_the_capsule_that_wins():
    config = CapsNetConfig(
        convolution_channels=4, primary_types=2, reconstruction_weight=0.0, class_dim=6
    )
    features, output, _ = answers(config)
    winners = output.logits.argmax(axis=1)
    np.testing.assert_array_equal(features, output.poses[np.arange(3), winners])


class TinyWithFeatures(Tiny):
    def features(self, images):
        return nnx.relu(self.hidden(images.reshape(images.shape[0], -1)))

    def __call__(self, images):
        return NetworkOutput(self.output(self.features(images)))


class TinyWithFeaturesConfig(TinyConfig):
    def build(self, image_shape, num_classes, rngs):
        return TinyWithFeatures(self, image_shape, num_classes, rngs)


def test_a_program_has_the_features_of_a_model_that_has_them():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))

    def program(config):
        return make_program(Experiment(model=config, steps=1), SHAPE, 4, mesh)

    assert program(TinyConfig()).features is None
    made = program(TinyWithFeaturesConfig())
    state = made.create_state()
    features = made.features(state.params, state.other, IMAGES)
    assert features.shape == (3, 8)
    layer = state.params["output"]
    logits = features @ layer["kernel"][...] + layer["bias"][...]
    expected = made.predict(state.params, state.other, IMAGES)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
