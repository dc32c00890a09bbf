import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from data.batches import Batch
from stn import identity_grid
from stn.networks.classifiers import ConvolutionalClassifier, DenseClassifier
from stn.networks.mnist import TRANSFORMS, TransformerNetworkConfig

# Those of TC are counted in the tests of its configurations.
SHAPES = {"r": (28, 28, 1), "rts": (42, 42, 1), "addition": (42, 42, 2)}
SMALL = TransformerNetworkConfig(parameters=30_000)
DENSE = TransformerNetworkConfig("fcn", parameters=60_000)


def build(config, shape=(28, 28, 1), classes=10):
    return config.build(shape, classes, nnx.Rngs(0))


def batch(shape=(28, 28, 1), count=4):
    random = np.random.default_rng(0)
    return Batch(
        jnp.asarray(random.uniform(size=(count, *shape)), jnp.float32),
        jnp.asarray(random.integers(0, 10, count), jnp.int32),
    )


# Each classifier on each task with and without transformers; the transforms differ only in the
# number of outputs of their regression.
@pytest.mark.parametrize(
    ("task", "transform"),
    [*itertools.product(SHAPES, [None, "affine"]), ("r", "projective"), ("addition", "tps")],
)
@pytest.mark.parametrize("classifier", ["fcn", "cnn"])
def test_every_network_of_the_paper_has_its_number_of_parameters(classifier, task, transform):
    config = TransformerNetworkConfig(
        classifier,
        transform or "affine",
        transformers=0 if transform is None else 2 if task == "addition" else 1,
        pooling=task == "rts",
    )
    classes = 19 if task == "addition" else 10
    count = count_parameters(lambda: build(config, SHAPES[task], classes))
    assert count == pytest.approx(400_000, rel=0.02)


def test_classifiers_by_hand():
    # 28 -> 20 -> 10 -> 4 -> 2 pixels; 6 filters: 492 + 1770 + 250.
    def convolutional():
        return ConvolutionalClassifier((28, 28, 1), 10, width=6, rngs=nnx.Rngs(0))

    def dense():
        return DenseClassifier((4, 5, 2), 3, width=6, rngs=nnx.Rngs(0))

    assert count_parameters(convolutional) == 492 + 1770 + 250
    assert count_parameters(dense) == 246 + 42 + 21


def test_an_odd_row_is_not_lost_in_pooling():
    # 21 -> 13 -> 7 -> 1: a transformer's pooling halves RTS's 42 pixels, and the CNN still fits.
    classifier = nnx.eval_shape(
        lambda: ConvolutionalClassifier((21, 21, 1), 10, width=6, rngs=nnx.Rngs(0))
    )
    assert classifier.classifier.in_features == 6


@pytest.mark.parametrize("classifier", ["fcn", "cnn"])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_network_starts_as_its_classifier_on_the_image(classifier, steps):
    network = build(dataclasses.replace(DENSE if classifier == "fcn" else SMALL, steps=steps))
    images = batch().images
    output, expected = nnx.jit(lambda net, x: (net(x), net.classifier(x).logits))(network, images)
    np.testing.assert_allclose(output.warp.images[:, 0], images, atol=1e-5)
    np.testing.assert_allclose(output.logits, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("classifier", "transformers", "expected"),
    [
        ("fcn", 0, {"dense 1": 2, "dense 2": 2}),
        ("cnn", 0, {f"{kind} {k}": 4 for k in (1, 2) for kind in ("convolution", "pooling")}),
        ("fcn", 2, {"transformed": 4, "dense 1": 2, "dense 2": 2}),
    ],
)
def test_every_hidden_layer_is_named(classifier, transformers, expected):
    config = dataclasses.replace(SMALL, classifier=classifier, transformers=transformers)
    layers = jax.eval_shape(lambda: build(config).activations(jnp.zeros((2, 28, 28, 1))))
    assert {name: layer.ndim for name, layer in layers.items()} == expected


def test_parallel_transformers_hand_on_all_channels_of_each():
    config = dataclasses.replace(DENSE, transformers=2, parameters=130_000)
    network = build(config, (20, 20, 2))
    images = batch((20, 20, 2)).images
    transformed = nnx.eval_shape(lambda: network.transformers(images))
    assert transformed.images.shape == (4, 20, 20, 4)
    shown, grids = nnx.jit(lambda network, images: network(images).warp)(network, images)
    assert shown.shape == (4, 2, 20, 20, 2)
    assert grids.shape == (4, 2, 20, 20, 2)
    np.testing.assert_allclose(grids[1, 1], identity_grid((20, 20)), atol=1e-5)


def test_penalties_join_the_loss():
    plain = build(DENSE)
    penalised = build(dataclasses.replace(DENSE, identity_penalty=2.0, outside_penalty=3.0))
    wide = jnp.asarray([1.5, 0.0, 0.0, 0.0, 1.5, 0.0])
    for network in (plain, penalised):
        network.transformers.transformers[0].regression.bias[...] = wide
    loss_of = nnx.jit(lambda network, data: network.loss(data))
    loss, metrics = loss_of(plain, batch())
    assert set(metrics) == {"accuracy"}
    total, metrics = loss_of(penalised, batch())
    assert metrics["identity_penalty"] > 0.01
    assert metrics["outside_penalty"] > 0.001
    expected = loss + 2.0 * metrics["identity_penalty"] + 3.0 * metrics["outside_penalty"]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


# Every transform before a classifier whose gradients compile quickly, and one before the other.
@pytest.mark.parametrize(
    ("config", "transform"), [*((DENSE, transform) for transform in TRANSFORMS), (SMALL, "affine")]
)
def test_the_regression_learns_from_the_first_step_on(config, transform):
    network = build(dataclasses.replace(config, transform=transform))
    gradients = nnx.jit(nnx.grad(lambda network, data: network.loss(data)[0]))(network, batch())
    for one in jax.tree.leaves(gradients["transformers"]["transformers"][0]["regression"]):
        assert np.all(np.isfinite(one))
        assert np.any(one != 0)


def test_a_classifier_alone_has_no_warp():
    config = dataclasses.replace(SMALL, transformers=0)
    output = jax.eval_shape(lambda images: build(config)(images), batch().images)
    assert output.warp is None
    assert output.logits.shape == (4, 10)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("classifier", "rnn", "classifier='rnn': choose one of fcn, cnn"),
        ("transform", "afine", "transform='afine': choose one of affine"),
        ("transformers", -1, "transformers=-1"),
        ("parameters", 10, "parameters=10: the narrowest"),
        ("steps", 0, "steps=0"),
    ],
)
def test_impossible_fields_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        build(dataclasses.replace(SMALL, **{field: value}))


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"12x12 pixels.*smallest side that fits is 21"):
        build(dataclasses.replace(SMALL, transformers=0), (12, 12, 1))
