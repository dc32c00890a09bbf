import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import ConvolutionalNetworkConfig, count_parameters
from cnn.losses import accuracy, multi_hot, multi_label_loss
from cnn.networks import multi_label

LOGITS = np.array([[0.5, 3.0, -1.0, 2.0], [0.0, 0.0, -1.0, 0.0], [1.0, 2.0, 8.0, 9.0]], np.float32)
LABELS = np.array([[3, 1], [2, 1], [0, 1]], np.int32)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [(multi_label.paper, 24_563_978), (multi_label.small, 2_711_946)],
)
def test_parameter_counts(preset, expected):
    assert count_parameters(lambda: preset().build((36, 36, 1), 10, nnx.Rngs(0))) == expected


def test_the_papers_layers():
    layers = jax.eval_shape(
        lambda: (
            multi_label.paper()
            .build((36, 36, 1), 10, nnx.Rngs(0))
            .activations(jnp.zeros((1, 36, 36, 1)))
        )
    )
    assert {name: layer.shape[1:] for name, layer in layers.items()} == {
        "convolution 1": (36, 36, 512),
        "pooling 1": (18, 18, 512),
        "convolution 2": (18, 18, 256),
        "pooling 2": (9, 9, 256),
    }


def test_the_loss_is_that_of_four_coins():
    loss, metrics = multi_label_loss(LOGITS, LABELS)
    probabilities = 1.0 / (1.0 + np.exp(-LOGITS.astype(np.float64)))
    present = np.array([[0, 1, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0]])
    np.testing.assert_array_equal(multi_hot(LABELS, jnp.asarray(LOGITS)), present)
    coins = np.where(present, probabilities, 1.0 - probabilities)
    np.testing.assert_allclose(loss, -np.log(coins).sum() / 3, rtol=1e-5)
    # The two largest are {1, 3}, {0, 1} (the first of equal ones) and {2, 3}.
    assert float(metrics["accuracy"]) == pytest.approx(1 / 3)


def test_accuracy_of_several_labels_takes_any_order_and_no_part():
    assert float(accuracy(LOGITS, LABELS[:, ::-1])) == pytest.approx(1 / 3)
    assert float(accuracy(LOGITS, np.array([[1, 2], [1, 0], [2, 3]]))) == pytest.approx(2 / 3)
    assert float(accuracy(LOGITS, np.array([[1], [0], [3]]))) == 1.0
    assert np.isnan(accuracy(np.full_like(LOGITS, np.nan), LABELS))
    # Of scores that are all the same the first two are predicted, and not whatever is right.
    assert float(accuracy(np.zeros((3, 4)), LABELS)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((3, 0), int), "an image must have at least one"),
        (np.zeros((2, 2), int), "must be one an image"),
        (np.zeros((3, 2, 1), int), "must be one an image"),
    ],
)
def test_other_labels_are_errors(labels, message):
    with pytest.raises(ValueError, match=message):
        multi_label_loss(LOGITS, labels)


def test_the_network_predicts_each_class_on_its_own():
    config = multi_label.MultiLabelNetworkConfig(
        ConvolutionalNetworkConfig((4, 4), (5, 3), "SAME", ("max2", "none"), (8,), dropout=0.0)
    )
    model = nnx.jit(lambda: config.build((12, 12, 1), 4, nnx.Rngs(0)))()
    images = jax.random.uniform(jax.random.key(0), (3, 12, 12, 1))
    batch = types.SimpleNamespace(images=images, labels=LABELS)
    forward = nnx.jit(
        lambda model: (model(images), model.network(images).logits, model.loss(batch))
    )
    output, odds, (loss, _) = forward(model)
    np.testing.assert_allclose(output.probabilities, 1.0 / (1.0 + np.exp(-odds)), rtol=1e-5)
    np.testing.assert_allclose(np.exp(output.logits), output.probabilities, rtol=1e-5)
    np.testing.assert_allclose(loss, multi_label_loss(odds, LABELS)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "message"),
    [
        ((5,), r"kernel_size=\(5,\) must be one number, or one for each of the 2"),
        ((5, 0), r"kernel_size=\(5, 0\): 0: must be at least 1"),
        (0, "kernel_size=0: must be at least 1"),
    ],
)
def test_kernels_that_do_not_fit(kernel_size, message):
    config = ConvolutionalNetworkConfig((4, 8), kernel_size, pooling=("max2", "max2"))
    with pytest.raises(ValueError, match=message):
        config.build((12, 12, 1), 4, nnx.Rngs(0))


def test_the_smallest_side_counts_every_kernel():
    config = ConvolutionalNetworkConfig((4, 8), (9, 5), "VALID", ("max2", "max2"))
    # Two of the last pooling, 4 more for its 5x5 kernels, twice that, and 8 for the 9x9 ones.
    assert config.smallest_side == 2 * (2 + 4) + 8
