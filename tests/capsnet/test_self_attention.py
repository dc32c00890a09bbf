import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet.routing import SelfAttentionRouting, Sizes, self_attention_routing
from tests.capsnet import reference

BATCH, IN, OUT, DIM = 2, 7, 5, 4
route = jax.jit(self_attention_routing)
run = nnx.jit(lambda module, votes: module(votes).poses)


def votes_and_bias():
    random = np.random.default_rng(0)
    return random.normal(size=(BATCH, IN, OUT, DIM)), random.normal(size=(IN, OUT))


def test_routing_is_the_papers():
    votes, bias = votes_and_bias()
    for given in (bias, np.zeros_like(bias)):
        poses, couplings = reference.self_attention_routing(votes, given)
        routed = route(np.float32(votes), np.float32(given))
        np.testing.assert_allclose(routed.poses, poses, atol=1e-5)
        np.testing.assert_allclose(routed.couplings, couplings, atol=1e-5)


def test_two_votes_by_hand():
    # For the first output capsule both vote (2, 0), so that each agrees with the sum by
    # <(2, 0), (4, 0)> / sqrt(4) = 4; for the second they cancel, and agree with nothing.
    votes = np.zeros((1, 2, 2, 4), np.float32)
    votes[0, :, 0, 0] = 2.0
    votes[0, :, 1, 1] = [3.0, -3.0]
    routed = route(votes)
    share = 1.0 / (1.0 + np.exp(-4.0))
    np.testing.assert_allclose(routed.couplings[0], [[share, 1.0 - share]] * 2, rtol=1e-6)
    expected = [[1.0 - np.exp(-4.0 * share), 0.0, 0.0, 0.0], [0.0] * 4]
    np.testing.assert_allclose(routed.poses[0], expected, rtol=1e-6, atol=1e-7)


def test_gradients_are_those_of_finite_differences():
    random = np.random.default_rng(1)
    votes, bias = votes_and_bias()
    cotangent = random.normal(size=(BATCH, OUT, DIM))
    step = random.normal(size=votes.shape), random.normal(size=bias.shape)

    def total(votes, bias):
        return jnp.sum(self_attention_routing(votes, bias).poses * cotangent)

    def exact(factor):
        moved = votes + factor * step[0], bias + factor * step[1]
        return np.sum(reference.self_attention_routing(*moved)[0] * cotangent)

    gradients = jax.jit(jax.grad(total, (0, 1)))(np.float32(votes), np.float32(bias))
    along = sum(np.sum(np.float64(a) * b) for a, b in zip(gradients, step, strict=True))
    assert along == pytest.approx((exact(1e-6) - exact(-1e-6)) / 2e-6, rel=1e-5)


def test_poses_turn_with_the_votes():
    votes, bias = votes_and_bias()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(DIM, DIM)))[0]
    plain, turned = (route(np.float32(v), np.float32(bias)) for v in (votes, votes @ turn))
    np.testing.assert_allclose(turned.poses, plain.poses @ turn, atol=1e-5)
    np.testing.assert_allclose(turned.couplings, plain.couplings, atol=1e-5)


def test_the_bias_is_a_parameter_for_each_pair_and_starts_at_zero():
    sizes = Sizes(IN, 3, OUT, DIM)
    module = SelfAttentionRouting().build(sizes, nnx.Rngs(0))
    np.testing.assert_array_equal(nnx.state(module, nnx.Param)["bias"][...], np.zeros((IN, OUT)))
    without = SelfAttentionRouting(bias=False).build(sizes, nnx.Rngs(0))
    assert not jax.tree.leaves(nnx.state(without, nnx.Param))
    votes, bias = (np.float32(part) for part in votes_and_bias())
    np.testing.assert_allclose(run(module, votes), run(without, votes), atol=1e-7)
    module.bias[...] = bias
    np.testing.assert_allclose(run(module, votes), route(votes, bias).poses, atol=1e-7)


def test_a_bias_that_does_not_fit():
    message = r"bias of shape \(4, 3\): must be \[in, out\] = \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        self_attention_routing(np.zeros((1, 3, 4, 2)), np.zeros((4, 3)))
