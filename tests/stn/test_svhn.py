import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn.parameter_budget import count_parameters
from data.batches import Batch
from stn.networks.house_numbers import HouseNumberConfig

SMALL = HouseNumberConfig(channels=(3, 4, 5, 6), pooling=("max2", "none") * 2, dense=(8,))
SHAPE = (16, 12, 3)


@nnx.jit
def logits_of(network, images):
    return network(images).logits


def build(**fields):
    return dataclasses.replace(SMALL, **fields).build(SHAPE, 10, nnx.Rngs(0))


def test_the_paper_s_layers():
    network = nnx.eval_shape(lambda: HouseNumberConfig().build((32, 32, 3), 10, nnx.Rngs(0)))
    kernels = [layer.kernel.shape for layer in network.convolutions]
    assert [kernel[-1] for kernel in kernels] == [48, 64, 128, 160, 192, 192, 192, 192]
    # Four poolings leave 2x2 pixels.
    assert [layer.kernel.shape for layer in network.dense] == [(768, 3072), (3072, 3072)]
    seen = [part.localisation.layers[0].kernel.shape for part in network.transformers]
    assert seen == [(32 * 32 * 3, 32), (16 * 16 * 48, 32), (16 * 16 * 64, 32), (8 * 8 * 128, 32)]
    total = count_parameters(lambda: HouseNumberConfig().build((32, 32, 3), 10, nnx.Rngs(0)))
    assert 15e6 < total < 18e6


@pytest.mark.parametrize(("transformers", "count"), [("single", 1), ("multi", 4)])
def test_transformers_start_as_no_transformers(transformers, count):
    network, plain = build(transformers=transformers), build(transformers="none")
    assert len(network.transformers) == count
    for mine, other in ((network.convolutions, plain.convolutions), (network.dense, plain.dense)):
        for layer, source in zip(mine, other, strict=True):
            nnx.update(layer, nnx.state(source))
    nnx.update(network.classifier, nnx.state(plain.classifier))
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    off = {"deterministic": True}
    np.testing.assert_allclose(
        logits_of(nnx.view(network, **off), images),
        logits_of(nnx.view(plain, **off), images),
        atol=1e-4,
    )


def test_every_transformer_learns():
    """Those on feature maps are reached, and so are the layers before them."""
    graph, params, rest = nnx.split(nnx.view(build(), deterministic=True), nnx.Param, ...)
    batch = Batch(jax.random.uniform(jax.random.key(0), (4, *SHAPE)), jnp.arange(4))

    @jax.jit
    @jax.grad
    def gradient(params):
        return nnx.merge(graph, params, rest, copy=True).loss(batch)[0]

    gradients = gradient(params)
    for layer in range(4):
        assert np.any(gradients["transformers"][layer]["regression"]["bias"][...])
    assert np.any(gradients["convolutions"][0]["kernel"][...])


def test_dropout_spares_the_first_convolution():
    network = build(dense=(), channels=(3,), pooling=("max2",), transformers="none")
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    np.testing.assert_array_equal(network(images).logits, network(images).logits)
    deeper = build(transformers="none")
    assert np.any(deeper(images).logits != deeper(images).logits)


def test_several_digits_are_right_only_together():
    network = nnx.view(build(digits=2, transformers="none"), deterministic=True)
    images = jax.random.uniform(jax.random.key(0), (3, *SHAPE))
    logits = network(images).logits
    assert logits.shape == (3, 2, 10)
    labels = jnp.argmax(logits, axis=-1)
    wrong = labels.at[0, 1].add(1) % 10
    loss, metrics = network.loss(Batch(images, labels))
    assert metrics["accuracy"] == 1.0
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)
    np.testing.assert_allclose(loss, -jnp.mean(jnp.sum(chosen, axis=(1, 2))), rtol=1e-5)
    assert network.loss(Batch(images, wrong))[1]["accuracy"] == pytest.approx(2 / 3)


def test_only_a_network_with_transformers_shows_a_warp():
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    assert build(transformers="none")(images).warp is None
    warped, grids = build(transformers="single")(images).warp
    np.testing.assert_allclose(warped[:, 0], images, atol=1e-5)
    assert grids.shape == (2, 1, 16, 12, 2)


def test_a_mistake_is_named():
    with pytest.raises(ValueError, match="transformers='double'"):
        build(transformers="double")
