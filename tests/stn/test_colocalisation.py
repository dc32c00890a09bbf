from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from flax import nnx

from cnn import classification_loss
from cnn.parameter_budget import count_parameters
from stn.networks.colocalisation import CoLocaliserConfig, WindowLocalisation, triplet_hinge
from stn.sampling.grids import identity_grid

SHAPE = (40, 40, 1)


class Batch(NamedTuple):
    images: jax.Array
    partners: jax.Array
    windows: jax.Array
    digits: jax.Array
    digit_labels: jax.Array


def make_batch(count=3):
    keys = jax.random.split(jax.random.key(0), 3)
    canvases = [jax.random.uniform(key, (count, *SHAPE)) for key in keys[:2]]
    digits = jax.random.uniform(keys[2], (count, 28, 28, 1))
    windows = jnp.tile(jnp.array([[0.7, 0.1, -0.2]]), (count, 1))
    return Batch(*canvases, windows, digits, jnp.arange(count))


def build(**fields):
    return CoLocaliserConfig(width=3, **fields).build(SHAPE, 10, nnx.Rngs(0))


# Compiled once for all networks of the same fields.
@nnx.jit
def loss_of(model, batch):
    return model.loss(batch)[0]


gradients = nnx.jit(nnx.grad(loss_of))


def test_the_hinge_is_that_of_the_paper():
    anchors = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    partners = jnp.array([[1.0, 0.0], [1.0, 0.5]])
    randoms = jnp.array([[0.0, 0.5], [1.0, 3.0]])
    # 1 - 0.25 + 1 and, cut off at zero, 0.25 - 9 + 1.
    np.testing.assert_allclose(triplet_hinge(anchors, partners, randoms, margin=1.0), 1.75 / 2)


def test_the_layers_of_the_localisation_network_are_the_paper_s():
    def build_one():
        return WindowLocalisation((84, 84, 1), rngs=nnx.Rngs(0))

    assert count_parameters(build_one) + 8 * 3 + 3 == 5947


def test_only_the_encoder_learns_during_the_warm_up():
    learned = gradients(build(warmup_steps=1), make_batch())
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(learned["transformer"]))
    assert np.any(learned["encoder"]["first"]["kernel"][...])


def test_triplets_teach_the_transformer_and_digits_the_encoder():
    model = build(warmup_steps=1)
    model.steps_done[...] = 1
    learned = gradients(model, make_batch())
    assert np.all(np.abs(learned["transformer"]["regression"]["bias"][...]) > 0)
    batch, (graph, params) = make_batch(), nnx.split(model.encoder)

    @jax.jit
    @jax.grad
    def of_digits(params):
        logits = nnx.merge(graph, params, copy=True)(batch.digits).logits
        return classification_loss(logits, batch.digit_labels)[0]

    for mine, alone in zip(
        jax.tree.leaves(learned["encoder"]), jax.tree.leaves(of_digits(params)), strict=True
    ):
        np.testing.assert_allclose(mine, alone, atol=1e-5)


def test_steps_are_counted():
    model = build(warmup_steps=2)
    losses = [float(loss_of(model, make_batch())) for _ in range(3)]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[2] > losses[1]


def test_the_schedule_zooms_in_to_the_image_s_own_pixels():
    model = build(first_scale=2.8, zoom_start=10, zoom_end=20)
    scales = [float(model.scheduled_scale(jnp.asarray(step))) for step in (0, 10, 15, 20, 99)]
    np.testing.assert_allclose(scales, [2.8, 2.8, 1.4, 0.7, 0.7], rtol=1e-5)


def test_windows_that_follow_the_schedule_cost_nothing_more():
    def loss(first_scale, penalty):
        model = build(first_scale=first_scale, scale_penalty=penalty, warmup_steps=0)
        return float(loss_of(model, make_batch()))

    assert loss(2.0, 5.0) == pytest.approx(loss(2.0, 0.0))
    model = build(scale_penalty=5.0, warmup_steps=0, zoom_start=0, zoom_end=10)
    free = build(scale_penalty=0.0, warmup_steps=0)
    for network in (model, free):
        network.steps_done[...] = 10
    # The windows are still at 2, the schedule at 0.7.
    extra = float(loss_of(model, make_batch())) - float(loss_of(free, make_batch()))
    assert extra == pytest.approx(5.0 * (2.0 / 0.7 - 1.0) ** 2, rel=1e-4)


def test_encodings_are_three_layers_of_length_one():
    windows = jax.random.uniform(jax.random.key(1), (2, 28, 28, 1))
    encoded = build().encode(windows)
    # 10x10 and 2x2 pixels of 3 filters, and 10 classes.
    parts = np.split(np.asarray(encoded), [300, 312], axis=-1)
    assert parts[2].shape == (2, 10)
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part, axis=-1), 1.0, rtol=1e-5)


def test_what_it_classifies_is_the_window():
    model = build(first_scale=0.7)
    images = make_batch().images
    windows, grids = model(images).warp
    assert windows.shape == (3, 1, 28, 28, 1)
    # The mean of 3x3 points reads its pixel and, a little, the neighbours.
    blurred = scipy.ndimage.convolve1d(images, [1 / 9, 7 / 9, 1 / 9], axis=1, mode="constant")
    blurred = scipy.ndimage.convolve1d(blurred, [1 / 9, 7 / 9, 1 / 9], axis=2, mode="constant")
    np.testing.assert_allclose(windows[:, 0], blurred[:, 6:34, 6:34], atol=1e-5)
    plain = identity_grid((28, 28)) * 0.7
    np.testing.assert_allclose(grids, np.broadcast_to(plain, (3, 1, 28, 28, 2)), atol=1e-6)
    np.testing.assert_allclose(model(images).logits, model.encoder(windows[:, 0]).logits, atol=1e-5)
