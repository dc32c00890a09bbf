import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import configs
from cnn import count_parameters
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.output import in_mode
from common.errors import UserError
from data.batches import Batch
from equivariant.canonicaliser import PrincipalAxis, principal_axis, turn
from equivariant.learnt_canonicaliser import (
    LearntOrientation,
    choose,
    prior_loss,
    sixty_four_angles,
)
from equivariant.networks.canonicalised import CanonicalisedConfig

PLAIN = ConvolutionalNetworkConfig((4,), 3, "SAME", ("max2",), (8,), dropout=0.0)
SMALL = LearntOrientation(fields=3, layers=2, kernel_size=3, inner_kernel_size=3)
FINE = LearntOrientation(8, fields=3, layers=2, kernel_size=7, inner_kernel_size=1)
IMAGES = np.random.default_rng(0).uniform(size=(3, 12, 12, 1)).astype(np.float32)


def turned(images, turns=1):
    return np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2)))


# With an axis: of images that are nearly as wide in all directions, rounding moves it.
LONG = IMAGES * np.exp(-(np.linspace(-2.0, 2.0, 12)[:, None] ** 2)).astype(np.float32)


def blob(angle, side=21):
    """Images of a long and lopsided spot, whose longer tail is at an angle, y down."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2.0
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    spot = np.exp(-((along + 2.0) ** 2 + across**2) / 6.0)
    spot += 0.6 * np.exp(-((along - 3.0) ** 2 + across**2) / 6.0)
    return spot.astype(np.float32)[None, ..., None]


def test_the_axis_by_hand():
    """Weights 3 and 1 at two pixels: the axis goes through both, the longer tail to the lighter."""
    images = np.zeros((3, 5, 7, 1), np.float32)
    images[0, 1, 2], images[0, 3, 4] = 3.0, 1.0
    images[1, 1, 2], images[1, 3, 4] = 1.0, 3.0
    images[2, 4, 1], images[2, 0, 1] = 3.0, 1.0  # straight up
    expected = [[np.sqrt(0.5)] * 2, [-np.sqrt(0.5)] * 2, [0.0, -1.0]]
    np.testing.assert_allclose(jax.jit(principal_axis)(images), expected, atol=1e-6)


def test_images_with_a_turned_axis_become_one():
    angles = np.array([0.4, 2.0, -1.2, 3.1, np.pi / 2.0])
    images = np.concatenate([blob(angle) for angle in angles])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    orientation = PrincipalAxis().build((21, 21, 1), nnx.Rngs(0))
    axes, found = jax.jit(lambda images: (principal_axis(images), orientation(images).images))(
        images
    )
    np.testing.assert_allclose(axes, directions, atol=2e-3)
    # The last one already points down; the others are interpolated.
    np.testing.assert_allclose(found[-1], images[-1], atol=1e-5)
    for image in found[:-1]:
        np.testing.assert_allclose(image, images[-1], atol=0.06)


def test_a_matrix_says_where_each_pixel_is_read():
    images = np.random.default_rng(1).uniform(size=(1, 4, 6, 1))
    read = jax.jit(lambda matrices: turn(images, matrices).images)
    mirror = read(np.array([[[-1.0, 0.0], [0.0, 1.0]]]))
    np.testing.assert_allclose(mirror, images[:, :, ::-1], atol=1e-6)
    quarter = read(np.array([[[0.0, -1.0], [1.0, 0.0]]]))
    # Of 4x6 pixels, a quarter turn of the middle 4x4, and beyond them nothing.
    np.testing.assert_allclose(quarter[0, :, 1:5], np.rot90(images[0, :, 1:5]), atol=1e-6)
    assert np.all(np.abs(quarter[0, :, [0, 5]]) < 1e-6)


def test_images_without_an_axis_stay():
    images = np.zeros((3, 5, 5, 1), np.float32)
    images[1, 1:4, 1:4] = 0.3
    images[2] = np.nan

    def total(images):
        axes = principal_axis(images)
        return jnp.sum(axes), axes

    gradient, axes = jax.jit(jax.grad(total, has_aux=True))(images)
    np.testing.assert_allclose(axes[:2], [[0.0, 1.0]] * 2, atol=1e-6)
    assert np.all(np.isfinite(gradient[:2]))
    assert np.all(np.isnan(axes[2]))


def test_a_choice_is_sharp_and_its_gradient_soft():
    scores = jnp.array([[0.5, 2.0, -1.0], [0.0, 0.0, 0.0]])
    values = jnp.array([1.0, -2.0, 3.0])

    def total(scores):
        weights, log_probabilities = choose(scores)
        return jnp.sum(weights @ values), (weights, log_probabilities)

    found, (weights, log_probabilities) = jax.jit(jax.grad(total, has_aux=True))(scores)
    np.testing.assert_array_equal(weights, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    soft = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_probabilities), soft, rtol=1e-5)
    np.testing.assert_allclose(found, soft * (values - soft @ values[:, None]), atol=1e-6)


def test_the_prior_by_hand():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]])
    expected = np.log(2.0) * (1.0 + 3.0) / 2.0
    np.testing.assert_allclose(prior_loss(np.log(probabilities)), expected, rtol=1e-6)


@functools.cache
def network(canonicaliser) -> tuple:
    """A canonicalised network and one program for its output."""
    config = CanonicalisedConfig(PLAIN, canonicaliser)
    model = nnx.jit(lambda: config.build((12, 12, 1), 4, nnx.Rngs(0)))()
    return model, nnx.jit(lambda model, images: model(images))


@pytest.mark.parametrize(
    ("canonicaliser", "images"), [(SMALL, IMAGES), (PrincipalAxis(), LONG)], ids=["p4", "pca"]
)
def test_predictions_do_not_change_under_quarter_turns(canonicaliser, images):
    model, output = network(canonicaliser)
    model: Any = in_mode(model, training=False)
    before = output(model, images)
    assert np.ptp(before.logits) > 1e-2
    for turns in (1, 2, 3):
        after = output(model, turned(images, turns))
        np.testing.assert_allclose(after.logits, before.logits, atol=1e-5)
        np.testing.assert_allclose(after.warp.images, before.warp.images, atol=1e-5)
    alone = in_mode(model.network, training=False)
    assert np.max(np.abs(alone(turned(images)).logits - alone(images).logits)) > 1e-3


def test_turns_of_the_image_permute_the_scores():
    orientation = in_mode(network(SMALL)[0].orientation, training=False)
    scores = nnx.jit(lambda orientation, images: orientation.scores(images))
    before, after = (scores(orientation, images) for images in (IMAGES, turned(IMAGES)))
    np.testing.assert_allclose(after, np.roll(before, 1, axis=1), atol=1e-5)
    assert np.ptp(before, axis=1).min() > 1e-3


@pytest.mark.slow
def test_fine_turns_nearly_permute_the_scores_of_smooth_images():
    orientation: Any = in_mode(FINE.build((27, 27, 1), nnx.Rngs(0)), training=False)
    scores = nnx.jit(lambda orientation, images: orientation.scores(images))
    before, after = (scores(orientation, blob(angle, 27)) for angle in (0.3, 0.3 - np.pi / 4.0))
    # The mean over places is taken before the last layer, for which it makes no difference.
    maps = orientation.layers[0](jnp.asarray(blob(0.3, 27)))
    expected = jnp.mean(orientation.last(maps), axis=(1, 2, 4))
    np.testing.assert_allclose(before, expected, atol=1e-5)
    spread = np.linalg.norm(before - np.mean(before))
    assert np.linalg.norm(after - np.roll(before, 1)) < 0.2 * spread
    assert np.linalg.norm(after - before) > 0.8 * spread


@pytest.mark.slow
def test_it_learns_by_gradients_of_the_choice_and_of_the_prior():
    model, _ = network(SMALL)
    batch = Batch(jnp.asarray(IMAGES), jnp.arange(3))

    def loss(model, prior):
        value, metrics = model.loss(batch)
        return value - (100.0 - prior) * metrics["prior"], metrics

    gradient = nnx.jit(nnx.grad(loss, has_aux=True))
    for prior in (0.0, 1.0):
        gradients, metrics = gradient(model, prior)
        assert metrics.keys() == {"accuracy", "prior"}
        leaves = jax.tree.leaves(gradients)
        assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
        assert np.any(gradients["orientation"]["last"]["kernel"][...] != 0.0)


def test_published_sizes():
    def parameters(config):
        return count_parameters(lambda: config.build((28, 28, 1), nnx.Rngs(0)))

    # A bias, and a scale and an offset of the two normalisations, for each of 32 fields.
    assert parameters(LearntOrientation()) == 32 * 25 + 2 * 32 * 32 * 4 * 25 + 7 * 32
    # A spline of 5x5 pixels has nine weights, a filter of one pixel one.
    assert parameters(sixty_four_angles()) == 4 * 9 + 2 * 4 * 4 * 64 + 7 * 4
    assert parameters(PrincipalAxis()) == 0


def test_it_is_the_network_on_turned_images():
    model, _ = network(PrincipalAxis())
    batch = Batch(jnp.asarray(IMAGES), jnp.arange(3))

    @nnx.jit
    def both(model):
        turned = batch._replace(images=model.orientation(batch.images).images)
        expected = model.network.loss(turned), model.network.activations(turned.images)
        return (model.loss(batch), model.activations(batch.images)), expected, turned.images

    *pair, images = both(model)
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-6), *pair)
    assert not np.allclose(images, IMAGES, atol=0.1)
    bag = CanonicalisedConfig(BagOfPartsConfig((3,)))
    bag = nnx.eval_shape(lambda: bag.build((28, 28, 1), 10, nnx.Rngs(0)))
    assert not hasattr(bag, "activations")


def test_configurations_name_both():
    plain, found = configs.load("mnist:cnn"), configs.load("canonicalised:p64,cnn")
    assert found.model == CanonicalisedConfig(plain.model, sixty_four_angles())
    assert found.optimizer == plain.optimizer
    with pytest.raises(UserError, match="'p5' is not one of pca, p4, p64"):
        configs.load("canonicalised:p5,cnn")


def nonsense(field, value):
    """A configuration with a value that its type forbids, which nobody checks outside of tests."""
    config = CanonicalisedConfig()
    setattr(config, field, value)
    return config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (nonsense("canonicaliser", "pca"), "canonicaliser='pca': must be of a type"),
        (CanonicalisedConfig(network=3), "network=3: must be the configuration of a network"),
        (CanonicalisedConfig(PLAIN, LearntOrientation(1)), "rotations=1: must be at least 2"),
        (CanonicalisedConfig(PLAIN, LearntOrientation(8, kernel_size=3)), "kernel_size=3: must"),
        (CanonicalisedConfig(PLAIN, LearntOrientation()), "smallest side that fits is 13"),
    ],
)
def test_nonsense_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        config.build((12, 12, 1), 10, nnx.Rngs(0))
