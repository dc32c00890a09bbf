import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from capsnet.routing import DynamicRouting
from cnn.decoder import DenseDecoder
from cnn.output import log_probabilities
from data.batches import Batch
from data.tasks.multimnist import MultiMNISTBatch

SMALL = {
    "convolution_channels": 8,
    "kernel_size": 5,
    "primary_types": 2,
    "decoder": DenseDecoder((16,)),
}
run = nnx.jit(lambda model, images: model(images))
loss_of = nnx.jit(lambda model, data: model.loss(data))
decode = nnx.jit(lambda model, output, labels=None: model.reconstruct(output, labels))


def parameters(config, image_shape, num_classes=10):
    model = nnx.eval_shape(lambda: config.build(image_shape, num_classes, nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("preset", "size", "expected"),
    [
        (capsnet.paper, 28, 8_215_568),
        (capsnet.sabour_code, 28, 8_215_728),
        (capsnet.paper, 36, 11_361_808),
        (capsnet.paper, 40, 13_475_648),
    ],
)
def test_parameter_counts(preset, size, expected):
    assert parameters(preset(), (size, size, 1)) == expected


@functools.cache
def build(image_shape=(28, 28, 1), num_classes=10, **fields):
    config = capsnet.CapsNetConfig(**{**SMALL, **fields})
    return nnx.jit(lambda: config.build(image_shape, num_classes, nnx.Rngs(0)))()


def test_activations_are_maps_of_images_of_any_size():
    model = build()
    layers = jax.eval_shape(lambda: model.activations(jnp.zeros((2, 34, 30, 1))))
    shapes = {name: layer.shape for name, layer in layers.items()}
    assert shapes == {"convolution": (2, 30, 26, 8), "primary capsules": (2, 13, 11, 16)}


def batch(image_shape=(28, 28, 1), num_classes=10, count=4):
    random = np.random.default_rng(7)
    images = random.uniform(size=(count, *image_shape)).astype(np.float32)
    labels = random.integers(0, num_classes, count).astype(np.int32)
    return Batch(jnp.asarray(images), jnp.asarray(labels))


@pytest.mark.parametrize(
    ("image_shape", "num_classes"), [((28, 28, 1), 10), ((32, 32, 3), 7), ((24, 30, 2), 3)]
)
def test_any_image_and_any_number_of_classes(image_shape, num_classes):
    model, data = build(image_shape, num_classes), batch(image_shape, num_classes)
    output = run(model, data.images)
    assert output.logits.shape == (4, num_classes)
    assert np.all((output.lengths >= 0) & (output.lengths < 1))
    assert output.reconstruction.shape == data.images.shape
    assert nnx.eval_shape(decode, model, output, data.labels).shape == data.images.shape
    loss, metrics = loss_of(model, data)
    assert np.isfinite(loss)
    assert set(metrics) == {"accuracy", "margin_loss", "class_length", "reconstruction_error"}


def test_images_of_a_batch_do_not_see_each_other():
    model, data = build(), batch()
    whole = run(model, data.images).lengths
    for image in range(4):
        alone = run(model, data.images[image : image + 1]).lengths
        np.testing.assert_allclose(alone[0], whole[image], atol=1e-6)


def test_logits_are_the_logarithms_of_the_lengths():
    model, data = build(), batch()
    output = run(model, data.images)
    np.testing.assert_allclose(np.exp(output.logits), output.lengths, rtol=1e-5)
    np.testing.assert_array_equal(output.probabilities, output.lengths)
    assert np.all(np.isfinite(log_probabilities(jnp.zeros(2))))


def test_training_decodes_the_true_class_alone(monkeypatch):
    model, data = build(), batch()
    decoded = []
    decode = type(model)._decode

    def count(self, poses, labels):
        decoded.append(labels)
        return decode(self, poses, labels)

    monkeypatch.setattr(type(model), "_decode", count)
    loss = jax.eval_shape(lambda: model.loss(data)[0])
    assert loss.shape == ()
    (labels,) = decoded
    np.testing.assert_array_equal(labels, data.labels)


def test_several_labels_are_learnt_and_reconstructed_one_by_one():
    model, data = build(), batch()
    labels = np.stack([np.asarray(data.labels), (np.asarray(data.labels) + 3) % 10], axis=1)
    objects = np.random.default_rng(8).uniform(size=(4, 2, 28, 28, 1)).astype(np.float32)
    pairs = MultiMNISTBatch(data.images, jnp.asarray(labels), jnp.asarray(objects))
    loss, metrics = loss_of(model, pairs)
    output = run(model, data.images)
    lengths, rows = np.asarray(output.lengths, np.float64), np.arange(4)[:, None]
    present = np.zeros((4, 10))
    present[rows, labels] = 1.0
    margins = present * np.maximum(0.0, 0.9 - lengths) ** 2
    margins += 0.5 * (1.0 - present) * np.maximum(0.0, lengths - 0.1) ** 2
    margin = margins.sum() / 4
    # Each label's decoding against the image of its own object.
    error = np.sum((np.asarray(output.class_reconstructions)[rows, labels] - objects) ** 2) / 4
    np.testing.assert_allclose(metrics["margin_loss"], margin, rtol=1e-5)
    np.testing.assert_allclose(metrics["reconstruction_error"], error, rtol=1e-5)
    np.testing.assert_allclose(loss, margin + 0.0005 * error, rtol=1e-5)
    largest = np.sort(np.argsort(-lengths, axis=1)[:, :2], axis=1)
    right = np.all(largest == np.sort(labels, axis=1), axis=1)
    assert float(metrics["accuracy"]) == right.mean()


def test_every_class_is_decoded_as_by_itself():
    model, data = build(), batch()
    output = run(model, data.images)
    alone = decode(model, output, np.full(4, 6))
    np.testing.assert_allclose(output.class_reconstructions[:, 6], alone, rtol=1e-5, atol=1e-6)


def test_objects_that_are_not_known_cannot_be_reconstructed():
    data = batch()
    pairs = types.SimpleNamespace(images=data.images, labels=jnp.asarray([[0, 1]] * 4))
    model, without = build(), build(reconstruction_weight=0.0)
    with pytest.raises(ValueError, match=r"\.objects, or the network reconstruction_weight=0"):
        jax.eval_shape(lambda: model.loss(pairs)[0])
    loss = jax.eval_shape(lambda: without.loss(pairs)[0])
    assert loss.shape == ()


def test_reconstruction_takes_the_label_or_the_prediction():
    model, data = build(), batch()
    output = run(model, data.images)
    predicted = np.argmax(output.logits, axis=-1)
    plain = decode(model, output)
    np.testing.assert_array_equal(plain, decode(model, output, predicted))
    np.testing.assert_array_equal(output.reconstruction, plain)
    assert not np.allclose(plain, decode(model, output, (predicted + 1) % 10))


def test_loss_units_of_the_two_presets():
    data = batch()
    for fields, margin_scale in [
        ({}, 1.0),
        ({"margin_weight": 0.5, "margin_reduction": "mean"}, 0.05),
    ]:
        loss, metrics = loss_of(build(**fields), data)
        expected = margin_scale * metrics["margin_loss"] + 0.0005 * metrics["reconstruction_error"]
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_the_decoder_starts_near_grey():
    _, metrics = loss_of(build(), Batch(jnp.zeros((4, 28, 28, 1)), jnp.zeros(4, jnp.int32)))
    assert float(metrics["reconstruction_error"]) == pytest.approx(784 * 0.25, rel=0.05)


def test_the_released_code_scales_primary_capsules_and_fills_biases():
    code = capsnet.sabour_code().build((28, 28, 1), 10, nnx.Rngs(0))
    plain = capsnet.paper().build((28, 28, 1), 10, nnx.Rngs(0))
    assert (code.primary_capsules.coupling, plain.primary_capsules.coupling) == (1 / 32, 1.0)
    assert plain.class_capsules.bias is None
    for bias in (code.convolution.bias, code.primary_capsules.bias, code.class_capsules.bias):
        np.testing.assert_array_equal(bias[...], np.full(bias[...].shape, np.float32(0.1)))
    kernel = np.asarray(code.primary_capsules.convolution.kernel[...])
    assert abs(kernel).max() <= 0.2  # truncated at two deviations, not rescaled
    assert kernel.std() == pytest.approx(0.088, abs=0.001)


def test_without_a_decoder():
    model = build(reconstruction_weight=0.0)
    assert "reconstruction_error" not in nnx.eval_shape(loss_of, model, batch())[1]
    with pytest.raises(ValueError, match="no decoder"):
        model.reconstruct(run(model, batch().images))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_are_finite_on_blank_images(dtype):
    model = build(dtype=dtype)
    graph, params, other = nnx.split(model, nnx.Param, ...)
    blank = Batch(jnp.zeros((2, 28, 28, 1)), jnp.zeros(2, jnp.int32))
    loss = lambda p: nnx.merge(graph, p, other).loss(blank)[0]  # noqa: E731
    grads = jax.jit(jax.grad(loss))(params)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(grads))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(grads))


def test_bfloat16_stays_close_and_answers_in_float32():
    data = batch()
    exact = run(build(), data.images)
    rough = run(build(dtype="bfloat16"), data.images)
    assert rough.lengths.dtype == rough.poses.dtype == jnp.float32
    np.testing.assert_allclose(rough.lengths, exact.lengths, atol=0.02)


@pytest.mark.parametrize(
    ("num_classes", "margin_loss", "class_length", "end"),
    [
        (10, 0.81, 0.0, "near 0"),
        (10, 3.644, 0.999, "near 1"),
        (10, 0.3, 0.2, None),
        (10, 0.81, 0.3, None),
        # Two labels an image.
        (10, 1.62, 0.001, "near 0"),
        (10, 3.241, 0.999, "near 1"),
        # All of an image's classes are present.
        (1, 0.81, 0.0, "near 0"),
        (1, 0.0, 0.999, None),
        (2, 0.0, 0.999, None),
    ],
)
def test_plateaus_are_named(num_classes, margin_loss, class_length, end):
    model = build(num_classes=num_classes)
    finding = model.diagnose({"margin_loss": margin_loss, "class_length": class_length})
    assert finding is None if end is None else end in finding
    assert finding is None or finding.endswith("the other initializers")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"margin_reduction": "max"}, "margin_reduction='max'"),
        ({"initializers": "xavier"}, "initializers='xavier'"),
        ({"routing": DynamicRouting(iterations=0)}, "iterations=0"),
        ({"dtype": "float31"}, "dtype='float31'"),
        ({"dtype": "float16"}, "dtype='float16': choose one of float32, bfloat16"),
    ],
)
def test_values_that_no_network_can_have(fields, message):
    with pytest.raises(ValueError, match=message):
        build(**fields)


def test_images_that_are_too_small_are_an_error():
    with pytest.raises(ValueError, match=r"8x9 pixels.*smallest side that fits is 9"):
        build((8, 9, 1))
    assert run(build((9, 9, 1)), jnp.zeros((1, 9, 9, 1))).logits.shape == (1, 10)
