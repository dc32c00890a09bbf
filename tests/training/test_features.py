"""The fields of models' outputs, as evaluations get them."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType

from capsnet.networks.sabour import CapsNetConfig
from cnn.decoder import DenseDecoder
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.networks.pooling import PoolingNetworkConfig
from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.model import predict_split
from evaluation.results.quantities import Metric
from evaluation.results.result import mean
from stn.networks.mnist import TransformerNetworkConfig
from tests.training.tiny_model import Tiny, TinyConfig
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.setup import Setup
from training.step import make_program

SHAPE = (28, 28, 1)
# Of different brightness, so that random weights tell them apart.
IMAGES = jnp.asarray(np.random.default_rng(0).random((3, *SHAPE), np.float32))
IMAGES = IMAGES * jnp.array([0.1, 0.5, 1.0])[:, None, None, None]
SMALL = {"downsamplings": 1, "layers": 2, "channels": 3}


def answers(config):
    """Output of a network of random weights, and its parameters."""
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

    return jax.device_get(jax.jit(lambda: nnx.merge(graph, state)(IMAGES))()), model


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
    output, model = answers(config)
    features = output.features
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
    output, _ = answers(config)
    winners = output.logits.argmax(axis=1)
    np.testing.assert_array_equal(output.features, output.poses[np.arange(3), winners])


class TinyOutput(NamedTuple):
    logits: Any
    features: Any = None
    depths: Any = None


class TinyWithFeatures(Tiny):
    """With an output of its own, and a field that no other model has."""

    def __call__(self, images):
        features = nnx.relu(self.hidden(images.reshape(images.shape[0], -1)))
        return TinyOutput(self.output(features), depths=features * 2.0)


class TinyWithFeaturesConfig(TinyConfig):
    def build(self, image_shape, num_classes, rngs):
        return TinyWithFeatures(self, image_shape, num_classes, rngs)


def program(config):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    return make_program(Experiment(model=config, steps=1), SHAPE, 4, mesh)


def test_a_program_knows_the_fields_of_a_models_output():
    assert list(program(TinyConfig()).fields) == ["logits"]
    made = program(TinyWithFeaturesConfig())
    shapes = {name: leaf.shape for name, leaf in made.fields.items()}
    assert shapes == {"logits": (1, 4), "depths": (1, 8)}
    state = made.create_state()
    found = made.outputs(state.params, state.other, IMAGES, ("depths", "logits"))
    layer = state.params["output"]
    logits = found["depths"] / 2.0 @ layer["kernel"][...] + layer["bias"][...]
    np.testing.assert_allclose(logits, found["logits"], atol=1e-5)


def test_what_is_not_asked_for_is_not_computed():
    decoder = DenseDecoder((2500,))
    made = program(CapsNetConfig(convolution_channels=4, primary_types=2, decoder=decoder))
    state = jax.eval_shape(made.create_state)

    def flops(*names):
        lowered = made.outputs.lower(state.params, state.other, IMAGES, names)
        return lowered.compile().cost_analysis()["flops"]

    assert flops("reconstruction") > flops("logits") + 2 * 3 * 784 * 2500


class DepthSuite:
    """A suite of a user's own, of a field of a user's own."""

    REQUIRES = ("depths",)

    @staticmethod
    def evaluate(predict, dataset, *, batch_size):
        depths = predict_split(
            predict, dataset.test, "depths", batch_size=batch_size, name="depths"
        )["depths"]
        return mean("depth", Metric("depth", "layers"), np.mean(depths, axis=1), dataset.test)


def test_a_new_capability_is_a_field_and_a_suite_that_requires_it():
    split = Split(np.asarray(255 * IMAGES, np.uint8), np.arange(3, dtype=np.int32))
    data = Dataset("three", 4, split, split, split)

    def measured(config):
        experiment = Experiment(model=config, steps=1, evaluation_batch_size=2)
        setup = Setup(experiment, data, make_mesh(), program(config))
        predictor = setup.predictor(setup.program.create_state())
        return suites.run(DepthSuite, predictor, setup.dataset, batch_size=2)

    (result,) = measured(TinyWithFeaturesConfig())
    assert result.value > 0.0
    with pytest.raises(suites.NotApplicable, match="the model has no `depths`"):
        measured(TinyConfig())


@dataclasses.dataclass
class PlainOutput:
    logits: Any
    depths: Any = None


def test_the_output_may_be_a_dataclass():
    class WithDataclass(Tiny):
        def __call__(self, images):
            return PlainOutput(super().__call__(images).logits)

    class Config(TinyConfig):
        def build(self, image_shape, num_classes, rngs):
            return WithDataclass(self, image_shape, num_classes, rngs)

    assert list(program(Config()).fields) == ["logits"]
