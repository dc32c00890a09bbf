import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from cnn import ConvolutionalNetworkConfig, classification_loss, count_parameters
from cnn.decoder import DenseDecoder
from cnn.networks.reconstructing import ReconstructingNetworkConfig, matched
from data.batches import Batch

# A whole call is compiled at once, for its operations take longer one by one.
answer = nnx.jit(lambda model, images: model(images))
paint = nnx.jit(lambda model, output, labels: model.reconstruct(output, labels))


def build(shape=(9, 8, 2), classes=3, **fields):
    small = ConvolutionalNetworkConfig((4,), 3, pooling=("max2",), dense=(6,), dropout=0.5)
    config = ReconstructingNetworkConfig(small, class_dim=5, decoder=DenseDecoder((7,)), **fields)
    model = config.build(shape, classes, nnx.Rngs(0))
    model.eval()
    return model


def batch(count=4):
    key = jax.random.key(7)
    return Batch(jax.random.uniform(key, (count, 9, 8, 2)), jnp.arange(count) % 3)


def test_it_has_the_parameters_and_the_decoder_of_capsnet():
    model = nnx.eval_shape(lambda: matched().build((28, 28, 1), 10, nnx.Rngs(0)))
    other = nnx.eval_shape(lambda: capsnet.paper().build((28, 28, 1), 10, nnx.Rngs(0)))
    assert count_parameters(lambda: model) == 8_213_596
    shapes, other_shapes = (
        jax.tree.map(jnp.shape, nnx.state(each.decoder, nnx.Param)) for each in (model, other)
    )
    assert shapes == other_shapes
    assert count_parameters(lambda: model.decoder) == 1_411_344


def test_only_the_units_of_the_decoded_class_are_seen():
    model, data = build(), batch()
    output = answer(model, data.images)
    assert output.features.shape == (4, 15)
    painted = paint(model, output, data.labels)
    assert painted.shape == data.images.shape
    own = jnp.repeat(jax.nn.one_hot(data.labels, 3), 5, axis=1)
    blind = output._replace(features=output.features + 9.0 * (1.0 - own))
    np.testing.assert_allclose(paint(model, blind, data.labels), painted, atol=1e-6)
    changed = output._replace(features=output.features + 9.0 * own)
    assert not np.allclose(paint(model, changed, data.labels), painted)


def test_without_labels_it_paints_what_it_predicts():
    model, data = build(), batch()
    output = answer(model, data.images)
    predicted = jnp.argmax(output.logits, axis=-1)
    painted = paint(model, output, None)
    np.testing.assert_array_equal(painted, paint(model, output, predicted))
    np.testing.assert_allclose(output.reconstruction, painted, atol=1e-6)
    assert not np.allclose(painted, paint(model, output, (predicted + 1) % 3))


def test_the_loss_adds_the_error_of_the_true_class():
    model, data = build(reconstruction_weight=0.01), batch()
    output = answer(model, data.images)
    loss, metrics = model.loss(data)
    painted = np.asarray(paint(model, output, data.labels))
    error = np.sum((painted - np.asarray(data.images)) ** 2) / 4
    expected = classification_loss(output.logits, data.labels)[0] + 0.01 * error
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(metrics["reconstruction_error"], error, rtol=1e-6)
    assert metrics["accuracy"] == np.mean(np.argmax(output.logits, axis=1) == data.labels)


def test_dropout_hides_units_from_the_classifier_alone():
    model, data = build(), batch()
    certain = answer(model, data.images)
    model.train()
    dropped = answer(model, data.images)
    np.testing.assert_array_equal(dropped.features, certain.features)
    assert not np.allclose(dropped.logits, certain.logits)


def test_a_network_that_paints_nothing_is_refused():
    with pytest.raises(ValueError, match=r"reconstruction_weight=0.0: must be positive"):
        build(reconstruction_weight=0.0)
