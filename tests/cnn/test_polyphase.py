from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from cnn.downsampling import KINDS, polyphase
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.output import in_mode
from cnn.polyphase import NAME, LearnablePolyphaseSampling

FEATURES = np.random.default_rng(0).uniform(size=(3, 8, 12, 2)).astype(np.float32)
SAMPLE = nnx.jit(lambda layer, features: layer(features))


def build(**fields):
    return LearnablePolyphaseSampling(2, edges="circular", rngs=nnx.Rngs(0), **fields)


def by_hand(sign):
    """Its logits are the signed means of what is above zero in the first channel."""
    layer = build()
    for convolution in (layer.first, layer.second):
        convolution.kernel[...] = jnp.zeros(convolution.kernel.shape)
    layer.first.kernel[...] = layer.first.kernel[...].at[1, 1, 0, 0].set(1.0)
    layer.second.kernel[...] = layer.second.kernel[...].at[1, 1, 0, 0].set(sign)
    return layer


def test_phases_start_at_four_pixels():
    phases = polyphase(FEATURES[:, :7, :11], edges="circular")
    assert phases.shape == (3, 4, 4, 6, 2)
    for number, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        kept = FEATURES[:, :7, :11][:, row::2, column::2]
        found = phases[:, number, : kept.shape[1], : kept.shape[2]]
        np.testing.assert_array_equal(found, kept)
    np.testing.assert_array_equal(phases[:, 2, 3, :, 0], FEATURES[:, 0, :11:2, 0])  # from beyond


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_weights_by_hand_choose_the_phase(sign):
    features = FEATURES.copy()
    features[0, 1::2, ::2, 0] += sign
    features[1, ::2, 1::2, 0] += sign
    features[2, 1::2, 1::2, 0] += sign
    features[2, ::2, ::2, 1] += 5.0 * sign  # the other channel does not count
    features -= min(0.0, sign)
    found = SAMPLE(in_mode(by_hand(sign), training=False), features)
    np.testing.assert_array_equal(found[0], features[0, 1::2, ::2])
    np.testing.assert_array_equal(found[1], features[1, ::2, 1::2])
    np.testing.assert_array_equal(found[2], features[2, 1::2, 1::2])


def test_it_moves_along_with_circular_shifts():
    layer: Any = in_mode(build(), training=False)
    chosen = np.argmax(layer.logits(polyphase(FEATURES, edges="circular")), axis=1)
    assert len(set(chosen.tolist())) > 1
    before = SAMPLE(layer, FEATURES)
    for shift in ((0, 1), (1, 0), (3, 5)):
        after = SAMPLE(layer, np.roll(FEATURES, shift, axis=(1, 2)))
        for image, number in enumerate(chosen):
            # Pixel i of a shifted map is in phase (i + shift) mod 2, at (i + shift) // 2.
            moves = [(start + by) // 2 for start, by in zip(divmod(number, 2), shift, strict=True)]
            np.testing.assert_array_equal(after[image], np.roll(before[image], moves, (0, 1)))


def test_in_training_phases_are_mixed_by_noise():
    """Gumbel noise makes the largest logit's phase the likeliest, with the softmax's chances."""
    features = np.zeros((4000, 2, 2, 2), np.float32)
    features[:, 0, 0, 0], features[:, 1, 1, 1] = np.log(3.0), 1.0
    layer = by_hand(1.0)
    layer.temperature = 1e-3  # all but one phase have no weight
    mixed = np.asarray(SAMPLE(layer, features))[:, 0, 0]
    # Of logits log 3, 0, 0, 0: chances of 3/6 and 1/6.
    np.testing.assert_allclose(np.mean(mixed, axis=0), [np.log(3.0) / 2, 1 / 6], atol=0.03)
    assert np.any(SAMPLE(layer, features)[:, 0, 0] != mixed)


def test_logits_learn_in_training():
    layer = build()
    targets = np.ones((3, 4, 6, 2))
    gradient = nnx.jit(nnx.grad(lambda layer: jnp.sum((layer(FEATURES) - targets) ** 2)))(layer)
    leaves = jax.tree.leaves(gradient)
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    assert np.any(gradient["first"]["kernel"][...] != 0.0)


def test_a_network_has_one_for_each_subsampling():
    def network(kind):
        config = PoolingNetworkConfig(kind, layers=3, channels=4, edges="circular")
        return config.build((16, 16, 1), 10, nnx.Rngs(0))

    assert NAME not in KINDS
    more = count_parameters(lambda: network(NAME)) - count_parameters(lambda: network("aps"))
    # Of 4 and of 8 channels: two convolutions with their biases.
    assert more == sum(9 * c * c + c + 9 * c + 1 for c in (4, 8))


@pytest.mark.slow
def test_a_network_is_invariant_to_circular_shifts():
    config = PoolingNetworkConfig(NAME, layers=3, channels=4, edges="circular")
    model = in_mode(config.build((16, 16, 1), 10, nnx.Rngs(0)), training=False)
    images = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1))
    logits = nnx.jit(lambda model, images: model(images).logits)
    expected = logits(model, images)
    found = logits(model, jnp.roll(images, (3, 5), (1, 2)))
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(jnp.max(jnp.abs(expected))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"edges": "mirror"}, "edges='mirror'"), ({"temperature": 0.0}, "temperature=0.0: must be")],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        LearnablePolyphaseSampling(2, rngs=nnx.Rngs(0), **fields)
