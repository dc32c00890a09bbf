import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from cnn.networks.bag_of_parts import RECEPTIVE_FIELD, BagOfPartsConfig
from data.batches import Batch


def network(channels=(8, 5), shape=(32, 32, 1), classes=6):
    return BagOfPartsConfig(channels).build(shape, classes, nnx.Rngs(0))


def things():
    """Four different things of 4x4 pixels."""
    return np.random.default_rng(0).uniform(size=(4, 4, 4))


def arranged(order):
    """The things at four places, at least nine pixels apart and from the edge."""
    image = np.full((32, 32), 0.5)
    places = [(8, 8), (8, 20), (20, 8), (20, 20)]
    for (row, column), thing in zip(places, things()[list(order)], strict=True):
        image[row : row + 4, column : column + 4] = thing
    return image


def test_how_distant_parts_are_arranged_changes_nothing():
    images = np.stack([arranged(order) for order in ((0, 1, 2, 3), (3, 2, 0, 1), (1, 0, 3, 2))])
    logits = network()(jnp.asarray(images[..., None], jnp.float32)).logits
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), atol=1e-5)
    other = network()(jnp.asarray(arranged((0, 0, 2, 3))[None, ..., None], jnp.float32)).logits
    assert np.max(np.abs(other - logits[0])) > 1e-4  # which parts there are does change it


def test_no_feature_sees_more_than_its_window():
    net = network(channels=(64, 64), shape=(12, 12, 1))  # so many that none is dead everywhere

    def features(image):
        hidden = image[None, ..., None]
        for layer in net.layers:
            hidden = nnx.relu(layer(hidden))
        return hidden[0].sum(axis=-1)

    image = jax.random.uniform(jax.random.key(0), (12, 12))
    seen = np.asarray(jax.jacobian(features)(image)) != 0.0
    assert seen.shape == (4, 4, 12, 12)
    for row, column in np.ndindex(4, 4):
        inside = np.zeros((12, 12), bool)
        inside[row : row + RECEPTIVE_FIELD, column : column + RECEPTIVE_FIELD] = True
        assert not np.any(seen[row, column] & ~inside)
        assert np.all(seen[row, column][inside])


def test_parameters_and_loss():
    assert count_parameters(network) == (81 + 1) * 8 + (8 + 1) * 5 + (5 + 1) * 6
    batch = Batch(jnp.zeros((3, 32, 32, 1)), jnp.array([0, 1, 2]))
    loss, metrics = network().loss(batch)
    assert np.isfinite(loss)
    assert float(metrics["accuracy"]) in (0.0, pytest.approx(1 / 3))


def test_images_smaller_than_a_window_are_refused():
    with pytest.raises(
        ValueError, match=r"8x20 pixels are too small for a window of 9x9; .* fits is 9"
    ):
        network(shape=(8, 20, 1))
