import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from capsnet import DenseCapsules
from capsnet.routing import DynamicRouting
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.output import in_mode
from data.batches import Batch
from equivariant.networks.penalised import PenalisedConfig
from equivariant.penalties import (
    ConsistencyPenalty,
    DifferencePenalty,
    Moves,
    Penalty,
    TangentPenalty,
    move,
    tangent,
)
from tests.evaluation.suites.digits import mnist

KINDS = (TangentPenalty, DifferencePenalty, ConsistencyPenalty)
TURN = Moves(rotation=30.0)


def bumps(height=21, width=25):
    """Smooth images that are zero at the edges, one with its centre of mass off the centre."""
    y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2

    def bump(right, down):
        return np.exp(-((x - right) ** 2 / 1.5 + (y - down) ** 2) / 4.0)

    return np.stack([bump(2.0, 1.0), bump(0.0, 0.0) + bump(-3.0, 2.0)])[..., None], bump


def smooth(images):
    """Log-probabilities of a classifier of moments, which has no use for single pixels."""
    height, width = images.shape[1:3]
    y, x = np.mgrid[:height, :width].astype(np.float32) / height - 0.5
    moments = np.stack([x, y, x * y, x**2], axis=-1)
    return jax.nn.log_softmax(jnp.einsum("bhwc,hwk->bk", images, moments))


def test_moves_go_where_they_should():
    images, bump = bumps()
    quarter = move(images[:1], np.array([[np.pi / 2, 0.0, 0.0, 0.0]]))
    # From (2, 1), y down, a quarter turn clockwise is (-1, 2); its axes change places.
    height, width = images.shape[1:3]
    y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    expected = np.exp(-((x + 1.0) ** 2 + (y - 2.0) ** 2 / 1.5) / 4.0)
    np.testing.assert_allclose(quarter[0, ..., 0], expected, atol=1e-5)
    shifted = move(images[:1], np.array([[0.0, 0.0, 3.0, -2.0]]))
    np.testing.assert_allclose(shifted[0, ..., 0], bump(5.0, -1.0), atol=1e-4)
    doubled = move(images[:1], np.array([[0.0, np.log(2.0), 0.0, 0.0]]))[0, ..., 0]
    assert doubled[height // 2 + 2, width // 2 + 4] == pytest.approx(1.0, abs=1e-6)
    both = move(images[:1], np.array([[np.pi / 2, 0.0, 3.0, 0.0]]))  # first turned, then shifted
    np.testing.assert_allclose(both[:, :, 3:], quarter[:, :, :-3], atol=1e-5)


@pytest.mark.parametrize("which", range(4))
def test_the_tangent_is_the_derivative_of_the_move(which):
    images, _ = bumps()
    amounts = np.zeros((2, 4))
    amounts[:, which] = 1.0
    step = 0.5 if which > 1 else 0.05  # whole half pixels: bilinear values are chords
    difference = (move(images, step * amounts) - move(images, -step * amounts)) / (2.0 * step)
    slopes = tangent(images, amounts)
    assert np.max(np.abs(slopes)) > 0.2
    np.testing.assert_allclose(slopes, difference, atol=0.06 * float(np.max(np.abs(slopes))))


def test_amounts_are_within_the_moves():
    amounts = Moves(30.0, 1.5, 2.0).draw(jax.random.key(0), 2000)
    limits = np.array([np.radians(30.0), np.log(1.5), 2.0, 2.0])
    assert np.all(np.abs(amounts) <= limits)
    np.testing.assert_allclose(np.max(np.abs(amounts), axis=0), limits, rtol=1e-2)
    np.testing.assert_allclose(np.var(amounts, axis=0), limits**2 / 3.0, rtol=0.1)


def test_penalties_by_hand():
    """A classifier that reads one pixel, which a shift of one fills from its left neighbour."""
    images = np.zeros((1, 3, 3, 1), np.float32)
    images[0, 1, 0], images[0, 1, 1], images[0, 1, 2] = 0.2, 0.5, 0.6

    def classify(images):
        return jnp.log(jnp.stack([images[:, 1, 1, 0], 1.0 - images[:, 1, 1, 0]], axis=-1))

    amounts = jnp.array([[0.0, 0.0, 1.0, 0.0]])
    found = [kind()(classify, jnp.asarray(images), amounts) for kind in KINDS]
    # d log p / dx = (1 / p, -1 / (1 - p)) at p = 0.5 times the slope -(0.6 - 0.2) / 2.
    by_hand = [2 * (2.0 * 0.2) ** 2]
    by_hand += [(np.log(0.5) - np.log(0.2)) ** 2 + (np.log(0.5) - np.log(0.8)) ** 2]
    by_hand += [0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8)]
    np.testing.assert_allclose(np.concatenate(found), by_hand, rtol=1e-5)


def test_to_first_order_a_difference_is_a_tangent():
    images = jnp.asarray(bumps()[0], jnp.float32)
    amounts = Moves(2.0, 1.02, 0.3).draw(jax.random.key(1), 2)
    first, finite = (kind()(smooth, images, amounts) for kind in KINDS[:2])
    assert np.all(np.asarray(first) > 1e-6)
    np.testing.assert_allclose(finite, first, rtol=0.1)


def test_tangents_are_those_of_routed_capsules_too():
    layer = DenseCapsules(25, 21, 3, 4, routing=DynamicRouting(2), rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)
    images = jnp.asarray(bumps()[0], jnp.float32)
    amounts = Moves(2.0, 1.02, 0.3).draw(jax.random.key(1), 2)
    along = tangent(images, amounts)

    def classify(state, images):
        lengths = nnx.merge(graph, state)(images.reshape(2, 25, 21)).activations
        return jnp.log(lengths / jnp.sum(lengths, axis=1, keepdims=True))

    @jax.jit
    @jax.value_and_grad
    def tangents(state):
        return jnp.sum(TangentPenalty()(lambda images: classify(state, images), images, amounts))

    @jax.jit
    @jax.value_and_grad
    def chords(state):
        ends = [classify(state, images + step * along) for step in (-0.1, 0.1)]
        return jnp.sum(jnp.square((ends[1] - ends[0]) / 0.2))

    exact, expected = tangents(state), chords(state)
    assert float(expected[0]) > 1e-5
    for one, other in zip(*map(jax.tree.leaves, (exact, expected)), strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * float(np.max(np.abs(other))))


def test_nothing_is_asked_of_predictions_that_do_not_move():
    images = jnp.asarray(bumps()[0], jnp.float32)
    for kind in KINDS:
        constant = kind()(lambda images: jnp.log(jnp.full((2, 4), 0.25)), images, jnp.ones((2, 4)))
        assert np.all(constant == 0.0)
    zero = ConsistencyPenalty()(smooth, images, jnp.zeros((2, 4)))
    np.testing.assert_allclose(zero, 0.0, atol=1e-5)


def penalties(kind):
    """Penalties of a network over 40 steps with the weight 0, and with 1, in one program."""
    network = ConvolutionalNetworkConfig((4,), pooling=("max2",), dense=(16,), dropout=0.2)
    images, labels = (each[:64] for each in mnist("train"))
    batch = Batch(jnp.asarray(images / np.float32(255.0)), jnp.asarray(labels))

    @nnx.jit
    def step(model, optimizer, weight):
        def loss_fn(model):
            loss, metrics = model.loss(batch)
            assert metrics.keys() == {"accuracy", "penalty"}
            # The configured weight is 2.
            return loss + (weight - 2.0) * metrics["penalty"], metrics["penalty"]

        (loss, penalty), gradients = nnx.value_and_grad(loss_fn, has_aux=True)(model)
        optimizer.update(model, gradients)
        return loss - weight * penalty, penalty

    for weight in (0.0, 1.0):
        model = PenalisedConfig(network, kind(TURN, 2.0)).build((28, 28, 1), 10, nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
        yield np.array([step(model, optimizer, weight) for _ in range(40)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_makes_predictions_change_less(kind):
    free, bound = penalties(kind)
    # The same network, cross-entropy and moves in the beginning.
    np.testing.assert_allclose(free[0], bound[0], rtol=1e-4)
    assert free[0, 0] == pytest.approx(np.log(10.0), abs=0.3)
    assert free[-1, 0] < 0.7 * free[0, 0]
    assert 0.0 < np.mean(bound[-10:, 1]) < 0.5 * np.mean(free[-10:, 1])


def test_it_is_the_network_with_another_loss():
    plain = ConvolutionalNetworkConfig((4,), pooling=("max2",), dense=(), dropout=0.0)
    images = mnist("test")[0][:2] / np.float32(255.0)
    model = PenalisedConfig(plain).build((28, 28, 1), 10, nnx.Rngs(3))
    expected = plain.build((28, 28, 1), 10, nnx.Rngs(3))(images).logits
    np.testing.assert_array_equal(model(images).logits, expected)
    # Its keys for moves are no hindrance in a trace that it comes into from outside.
    evaluated = jax.jit(lambda images: in_mode(model, training=False)(images).logits)
    np.testing.assert_allclose(evaluated(images), expected, atol=1e-5)
    assert hasattr(model, "activations") == hasattr(model.network, "activations")
    bag = PenalisedConfig(BagOfPartsConfig((3,))).build((28, 28, 1), 10, nnx.Rngs(0))
    assert not hasattr(bag, "activations")


def nonsense(field, value):
    """A configuration with a value that its type forbids, which nobody checks outside of tests."""
    config = PenalisedConfig()
    setattr(config, field, value)
    return config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (nonsense("penalty", "tangent"), "penalty='tangent': must be of a type"),
        (PenalisedConfig(network=3), "network=3: must be the configuration of a network"),
        (PenalisedConfig(penalty=TangentPenalty(Moves(rotation=-1.0))), "rotation=-1.0"),
        (PenalisedConfig(penalty=TangentPenalty(Moves(rotation=0.0))), "nothing moves"),
        (PenalisedConfig(penalty=TangentPenalty(weight=-1.0)), "weight=-1.0"),
    ],
)
def test_nonsense_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        config.build((28, 28, 1), 10, nnx.Rngs(0))
    assert issubclass(TangentPenalty, Penalty)
