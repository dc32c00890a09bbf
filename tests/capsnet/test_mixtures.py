"""EM and variational Bayes routing: agreement with plain loops, and what breaks such routings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from capsnet.layers import ConvolutionalCapsules
from capsnet.routing import (
    Capsules,
    ExpectationMaximisationRouting,
    Sizes,
    VariationalBayesRouting,
)
from capsnet.routing.expectation_maximisation import MIN_VARIANCE, narrowest_cost
from capsnet.routing.variational_bayes import log_precision, update
from tests.capsnet import mixtures

ROUTINGS = {
    "expectation maximisation": ExpectationMaximisationRouting(),
    "variational bayes": VariationalBayesRouting(),
}
by_name = pytest.mark.parametrize("name", ROUTINGS)
BETA_U, BETA_A = np.linspace(0.5, 1.5, 5), np.linspace(-1.0, 2.0, 5)


def with_constants(routing, out):
    """A routing whose output capsules have constants of their own."""
    routing.beta_u[...], routing.beta_a[...] = np.float32(BETA_U[:out]), np.float32(BETA_A[:out])
    return routing


def built(name, in_capsules=6, out=5, dim=4):
    sizes = Sizes(in_capsules, dim, out, dim)
    return with_constants(ROUTINGS[name].build(sizes, nnx.Rngs(0)), out)


def by_hand(name, votes, activations, sees, places):
    parents = votes.shape[1]
    types = np.arange(parents) % (parents // len(set(places)))
    constants = BETA_U[types], BETA_A[types]
    if name == "variational bayes":
        return mixtures.variational_bayes(votes, activations, sees, places, *constants)
    return mixtures.expectation_maximisation(votes, activations, sees, *constants)


def random_inputs(batch=2):
    random = np.random.default_rng(0)
    return random.normal(size=(batch, 6, 5, 4)), random.uniform(0.1, 0.9, size=(batch, 6))


@by_name
def test_matches_the_slow_reference(name):
    votes, activations = random_inputs()
    with jax.enable_x64(True):
        routed = jax.jit(built(name))(votes, Capsules(votes[:, :, 0], activations))
        for image in range(2):
            expected = by_hand(name, votes[image], activations[image], np.ones((6, 5)), np.zeros(5))
            for part, slow in zip(routed, expected, strict=True):
                assert part.dtype == jnp.float64
                # The constants are float32.
                np.testing.assert_allclose(part[image], slow, atol=1e-6)


@by_name
def test_places_of_a_map_compete(name):
    """Windows of 3x3 on 4x5 places: 2x3 parents of two types each, with two types of children."""
    random = np.random.default_rng(0)
    poses = random.normal(size=(1, 4, 5, 2, 4))
    activations = random.uniform(0.1, 0.9, size=(1, 4, 5, 2))
    layer = ConvolutionalCapsules(
        2, 4, 2, 4, routing=ROUTINGS[name], pose="matrix", rngs=nnx.Rngs(0)
    )
    layer.capsules.dtype = "float64"
    with_constants(layer.capsules.routing, 2)
    kernel = np.float64(layer.capsules.kernel[...])
    votes, sees = np.zeros((4, 5, 2, 2, 3, 2, 4)), np.zeros((4, 5, 2, 2, 3, 2))
    couplings = np.zeros((2, 3, 9, 2, 2), int)
    for row, column, down, right, kind in np.ndindex(2, 3, 3, 3, 2):
        child = (row + down, column + right, kind)
        matrix = poses[(0, *child)].reshape(2, 2)
        for parent in range(2):
            product = matrix @ kernel[2 * (3 * down + right) + kind, :, parent]
            votes[(*child, row, column, parent)] = product.ravel()
            sees[(*child, row, column, parent)] = 1
            number = np.ravel_multi_index((*child, row, column, parent), sees.shape)
            couplings[row, column, 3 * down + right, kind, parent] = number
    places = np.repeat(np.arange(6), 2)
    slow = by_hand(
        name, votes.reshape(40, 12, 4), activations.ravel(), sees.reshape(40, 12), places
    )
    with jax.enable_x64(True):
        routed = nnx.jit(lambda layer, *inputs: layer(*inputs))(layer, poses, activations)
    np.testing.assert_allclose(routed.poses.ravel(), slow[0].ravel(), atol=1e-6)
    shares = slow[1].ravel()[couplings.ravel()]
    np.testing.assert_allclose(routed.couplings.ravel(), shares, atol=1e-6)
    np.testing.assert_allclose(routed.activations.ravel(), slow[2], atol=1e-6)
    np.testing.assert_allclose(slow[1].sum(axis=1), np.ones(40), rtol=1e-12)


@by_name
def test_gradients_match_finite_differences(name):
    votes, activations = random_inputs(batch=1)
    with jax.enable_x64(True):
        graph, state = nnx.split(built(name))
        state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), state)

        @jax.jit
        def total(state, votes, activations):
            routed = nnx.merge(graph, state)(votes, Capsules(votes[:, :, 0], activations))
            return sum(jnp.sum(jnp.sin(part)) for part in routed)

        arguments = (state, jnp.asarray(votes), jnp.asarray(activations))
        check_grads(total, arguments, order=1, modes=["rev"])


@functools.cache
def with_gradients(name):
    routing = built(name)

    def total(votes, activations):
        routed = routing(votes, Capsules(votes[:, :, 0], activations))
        return sum(jnp.sum(part) for part in routed), routed

    return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))


@by_name
@pytest.mark.parametrize("case", ["one child", "no child", "identical votes", "far votes"])
def test_degenerate_data_leave_numbers(name, case):
    votes, activations = (np.float32(part) for part in random_inputs())
    if case == "one child":
        activations[:, 1:] = 0.0
    if case == "no child":
        activations[:] = 0.0
    if case == "identical votes":
        votes[:] = votes[:1, :1]
    if case == "far votes":
        votes *= 1e4
    (_, routed), gradients = with_gradients(name)(votes, activations)
    for part in (*routed, *gradients):
        assert np.all(np.isfinite(part))
    np.testing.assert_allclose(routed.couplings.sum(axis=2), np.ones((2, 6)), rtol=1e-5)
    if case in ("one child", "identical votes") and name == "expectation maximisation":
        np.testing.assert_allclose(routed.poses, votes[:, 0], rtol=1e-5)


def test_the_amount_of_data_does_not_matter_to_em():
    votes, activations = (np.float32(part) for part in random_inputs())
    once = with_gradients("expectation maximisation")(votes, activations)[0][1]
    doubled = [np.concatenate([part, part], axis=1) for part in (votes, activations)]
    twice = with_gradients("expectation maximisation")(*doubled)[0][1]
    np.testing.assert_allclose(twice.poses, once.poses, atol=1e-5)
    np.testing.assert_allclose(twice.activations, once.activations, atol=1e-5)


def test_agreement_activates():
    votes, activations = (np.float32(part) for part in random_inputs())
    votes[:, :, 1] = votes[:, :1, 1] + 0.01 * votes[:, :, 1]
    routing = ExpectationMaximisationRouting().build(Sizes(6, 4, 5, 4), nnx.Rngs(0))
    routed = jax.jit(routing)(votes, Capsules(votes[:, :, 0], activations))
    assert np.all(np.argmax(routed.activations, axis=1) == 1)
    assert np.all(np.argmax(routed.couplings, axis=2) == 1)


@pytest.mark.parametrize("min_variance", [MIN_VARIANCE, 4.0])
def test_the_narrowest_gaussians_cost_nothing_at_their_cost(min_variance):
    routing = ExpectationMaximisationRouting(
        min_variance=min_variance, initial_cost=narrowest_cost(min_variance)
    )
    routing.check()
    module = routing.build(Sizes(6, 4, 5, 4), nnx.Rngs(0))
    # Votes that agree leave nothing of the variance but its floor.
    votes = np.broadcast_to(np.float32(random_inputs()[0][:, :1]), (2, 6, 5, 4))

    def activations(votes):
        return module(votes, Capsules(votes[:, :, 0], jnp.ones((2, 6)))).activations

    np.testing.assert_allclose(jax.jit(activations)(votes), np.full((2, 5), 0.5), atol=1e-4)
    gradients = jax.jit(jax.grad(lambda votes: jnp.sum(activations(votes))))(votes)
    assert np.all(np.isfinite(gradients))


def test_without_data_the_posterior_is_the_prior():
    votes = np.float32(random_inputs()[0].swapaxes(1, 2))
    posterior = update(jnp.asarray(votes), jnp.zeros((2, 5, 6)))
    for part, expected in zip(posterior, (1.0, 1.0, 0.0, 1.0, 5.0), strict=True):
        np.testing.assert_array_equal(part, np.full(part.shape, expected))


def test_degrees_of_freedom_grow_by_the_data():
    random = np.random.default_rng(0)
    votes, weights = random.normal(size=(2, 3, 6, 16)), random.uniform(size=(2, 3, 6))
    posterior = update(jnp.float32(votes), jnp.float32(weights))
    np.testing.assert_allclose(posterior.degrees, 17 + weights.sum(axis=2), rtol=1e-6)
    # Of a Wishart distribution of one dimension, chi-squared of nu degrees.
    one = update(jnp.zeros((1, 1, 1, 1)), jnp.full((1, 1, 1), 2.0))
    np.testing.assert_allclose(log_precision(one), [[np.log(2.0) + 0.4227843351]], rtol=1e-6)


def test_normalised_activations_of_a_batch():
    routing = VariationalBayesRouting(batch_norm=True).build(Sizes(6, 4, 5, 4), nnx.Rngs(0))
    votes, activations = (np.float32(part) for part in random_inputs(batch=8))
    routed = nnx.jit(lambda routing, *inputs: routing(*inputs))(
        routing, votes, Capsules(votes[:, :, 0], activations)
    )
    logits = np.log(routed.activations) - np.log1p(-routed.activations)
    np.testing.assert_allclose(np.mean(logits, axis=0), np.zeros(5), atol=1e-4)
    np.testing.assert_allclose(np.std(logits, axis=0), np.ones(5), atol=0.01)


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        (ExpectationMaximisationRouting(iterations=0), "iterations=0: must be at least 1"),
        (ExpectationMaximisationRouting(final_beta=0.0), "final_beta=0.0: must be positive"),
        (ExpectationMaximisationRouting(min_variance=1e-50), r"min_variance=1e-50: must be in \["),
        (ExpectationMaximisationRouting(initial_cost=1e7), r"initial_cost=10000000.0: must be in"),
        (VariationalBayesRouting(iterations=101), "iterations=101: must be a whole number from"),
    ],
)
def test_routings_that_cannot_be(routing, message):
    with pytest.raises(ValueError, match=message):
        routing.check()
