import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import special

from cnn import count_parameters
from cnn.networks.compact_transformer import CompactTransformer, CompactTransformerConfig
from cnn.output import in_mode

SMALL = CompactTransformerConfig((3,), 2, 2, 2, stochastic_depth=0.5, parameters=2000)
SHAPE = (7, 6, 1)
IMAGES = np.random.default_rng(0).uniform(size=(2, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """With random values in the place of zeros and of ones."""
    built = nnx.jit(lambda: SMALL.build(SHAPE, 4, nnx.Rngs(0)))()
    random = np.random.default_rng(1)
    parameters = nnx.state(built, nnx.Param)
    nnx.update(
        built,
        jax.tree.map(lambda leaf: jnp.asarray(random.normal(0, 1.0, leaf.shape), "f4"), parameters),
    )
    return built


def test_a_published_network():
    """CCT-2/3x2 on CIFAR10 has 0.28 million; these have a bias in queries, keys and values too."""

    def build():
        return CompactTransformer(
            CompactTransformerConfig(), (32, 32, 3), 10, width=64, rngs=nnx.Rngs(0)
        )

    tokeniser = 9 * 3 * 64 + 9 * 64 * 128
    layer = 4 * (128 * 128 + 128) + 2 * (128 * 128 + 128) + 2 * 2 * 128
    head = 2 * 128 + 128 + 1 + 128 * 10 + 10
    assert count_parameters(build) == tokeniser + 64 * 128 + 2 * layer + head
    assert count_parameters(build) == pytest.approx(0.28e6, rel=0.02)


def normalised(tokens, layer):
    mean, variance = tokens.mean(axis=-1, keepdims=True), tokens.var(axis=-1, keepdims=True)
    scale, bias = np.float64(layer.scale[...]), np.float64(layer.bias[...])
    return (tokens - mean) / np.sqrt(variance + 1e-6) * scale + bias


def dense(tokens, layer):
    return tokens @ np.float64(layer.kernel[...]) + np.float64(layer.bias[...])


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)


def token_map(image, kernel):
    """A padded 3x3 convolution, ReLU, and the largest of 3x3 at every other place."""
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((height, width, kernel.shape[-1]))
    for y, x in np.ndindex(height, width):
        found[y, x] = np.einsum("abi,abio->o", padded[y : y + 3, x : x + 3], kernel)
    found = np.maximum(found, 0.0)
    rows, columns = range(0, height, 2), range(0, width, 2)
    near = [[found[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] for x in columns] for y in rows]
    return np.array([[places.max(axis=(0, 1)) for places in row] for row in near])


def attention(tokens, layer):
    total = np.float64(layer.out.bias[...]) + np.zeros_like(tokens)
    for head in range(layer.num_heads):
        query, key, value = (
            tokens @ np.float64(part.kernel[:, head]) + np.float64(part.bias[head])
            for part in (layer.query, layer.key, layer.value)
        )
        weights = softmax(query @ key.T / np.sqrt(query.shape[1]))
        total += weights @ value @ np.float64(layer.out.kernel[head])
    return total


def slow(network, image):
    """Logits of one image, in loops and in float64."""
    features = np.float64(image)
    for convolution in network.convolutions:
        features = token_map(features, np.float64(convolution.kernel[...]))
    tokens = features.reshape(-1, features.shape[-1]) + np.float64(network.positions[...])
    for layer in network.layers:
        tokens = tokens + attention(normalised(tokens, layer.attention_norm), layer.attention)
        hidden = dense(normalised(tokens, layer.dense_norm), layer.hidden)
        hidden = hidden * (1.0 + special.erf(hidden / np.sqrt(2.0))) / 2.0
        tokens = tokens + dense(hidden, layer.projection)
    tokens = normalised(tokens, network.norm)
    weights = softmax(dense(tokens, network.pooling)[:, 0])
    return dense(weights @ tokens, network.classifier)


def test_it_agrees_with_plain_loops(network):
    evaluated = in_mode(network, training=False)
    found = jax.jit(lambda images: evaluated(images).logits)(IMAGES)
    expected = np.stack([slow(network, image) for image in IMAGES])
    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_last_layer_is_skipped_as_often_as_is_asked_for(network):
    """Of an image either all tokens pass a summand or none does, and those that do count double."""
    layer = network.layers[1]
    assert [each.depth.rate for each in network.layers] == [0.0, 0.5]
    found = np.asarray(layer.depth(jnp.ones((400, 3, 2))))
    assert set(np.unique(found)) == {0.0, 2.0}
    assert np.all(found == found[:, :1, :1])
    assert found.mean() == pytest.approx(1.0, abs=0.2)


def test_training_drops_and_evaluation_does_not(network):
    batch = types.SimpleNamespace(images=IMAGES, labels=np.array([1, 2]))
    losses = {
        training: {float(mode.loss(batch)[0]) for _ in range(3)}
        for training in (True, False)
        for mode in [in_mode(network, training=training)]
    }
    assert len(losses[True]) > 1
    assert len(losses[False]) == 1
