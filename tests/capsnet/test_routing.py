import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from capsnet import length, squash
from capsnet.routing import Routed, dynamic_routing
from tests.capsnet import reference

# Compiled once for all tests with votes of a shape and the same options.
OPTIONS = ("iterations", "leaky", "stop_gradient")
route = jax.jit(dynamic_routing, static_argnames=OPTIONS)

# Votes of the released code's unit test, two input and two output capsules.
VOTES_A = np.arange(8.0).reshape(1, 2, 2, 2)
VOTES_B = np.array([[[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0.8, 0.6], [1, 0]]]], np.float64)


@pytest.mark.parametrize(
    ("votes", "options", "expected"),
    [
        (VOTES_A, {"iterations": 1}, [[0.515079, 0.772618], [0.609821, 0.762277]]),
        (VOTES_A, {"iterations": 2}, [[0.053179, 0.084781], [0.620844, 0.775374]]),
        (VOTES_A, {"iterations": 3}, [[0.0, 4e-6], [0.620942, 0.776101]]),
        (VOTES_B, {"iterations": 1}, [[0.657211, 0.140831], [0.2, 0.0]]),
        (VOTES_B, {"iterations": 2}, [[0.755776, 0.151598], [0.137247, 0.0]]),
        (VOTES_B, {"iterations": 3}, [[0.816747, 0.162317], [0.070384, 0.0]]),
        (
            VOTES_B,
            {"iterations": 3, "leaky": True},
            [[0.717974, 0.145728], [0.057207, 0.0]],
        ),
        (
            VOTES_B,
            {"iterations": 1, "bias": np.full((2, 2), 0.1, np.float32)},
            [[0.682882, 0.182102], [0.266398, 0.044400]],
        ),
        (
            VOTES_B,
            {"iterations": 3, "bias": np.full((2, 2), 0.1, np.float32)},
            [[0.825192, 0.190168], [0.135120, 0.044959]],
        ),
    ],
)
def test_golden_poses(votes, options, expected):
    poses = route(np.asarray(votes, np.float32), **options).poses
    np.testing.assert_allclose(poses[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("votes", "iterations", "expected"),
    [
        (VOTES_A, 2, [[0.061005, 0.938995], [0.044300, 0.955700]]),
        (VOTES_B, 2, [[0.658634, 0.341366], [0.658634, 0.341366], [0.601152, 0.398848]]),
        (VOTES_B, 3, [[0.804237, 0.195763], [0.804237, 0.195763], [0.724841, 0.275159]]),
    ],
)
def test_golden_couplings(votes, iterations, expected):
    routed = route(np.asarray(votes, np.float32), iterations=iterations)
    np.testing.assert_allclose(routed.couplings[0], expected, atol=1e-5)


def random_votes(shape=(4, 6, 5, 3)):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_matches_the_slow_reference(iterations, leaky, with_bias):
    votes = random_votes()
    bias = np.random.default_rng(9).normal(size=(5, 3)) if with_bias else None
    routed = route(
        votes,
        iterations=iterations,
        leaky=leaky,
        bias=None if bias is None else np.float32(bias),
    )
    poses, couplings = reference.dynamic_routing(
        np.asarray(votes, np.float64),
        iterations,
        bias,
        leaky,
    )
    np.testing.assert_allclose(routed.poses, poses, atol=1e-5)
    np.testing.assert_allclose(routed.couplings, couplings, atol=1e-5)


def test_couplings_compete_over_outputs_not_inputs():
    couplings = route(random_votes(), iterations=3).couplings
    np.testing.assert_allclose(couplings.sum(axis=2), np.ones((4, 6)), rtol=1e-6)
    assert not np.allclose(couplings.sum(axis=1), couplings.sum(axis=1)[0, 0])


def test_a_leak_takes_part_of_every_vote():
    zero = route(np.zeros((1, 3, 10, 4), np.float32), iterations=2, leaky=True)
    np.testing.assert_allclose(zero.couplings, np.full((1, 3, 10), 1 / 11), rtol=1e-6)
    # Unit votes for four outputs; after one iteration of agreement the leak stays at logit zero.
    routed = route(random_votes(), iterations=3, leaky=True)
    assert np.all(routed.couplings.sum(axis=2) < 1.0)


def test_the_leaky_softmax_of_equal_logits_of_one():
    # One input capsule whose votes agree with each pose by exactly 1: |v| = n^2 / (1 + n^2) with
    # n = norm / 5, and logit = norm * |v| = 1 fixes the norm.
    norm = 3.4798
    for _ in range(50):
        n = norm / 5
        norm = (1 + n**2) / n**2
    votes = np.zeros((1, 1, 4, 2), np.float32)
    votes[..., 0] = norm
    couplings = route(votes, iterations=2, leaky=True).couplings
    logit = float(norm * (norm / 5) ** 2 / (1 + (norm / 5) ** 2))
    expected = np.exp(logit) / (4 * np.exp(logit) + 1)
    np.testing.assert_allclose(couplings[0, 0], np.full(4, expected), rtol=1e-5)


def test_one_iteration_is_a_uniform_average():
    votes = random_votes()
    routed = route(votes, iterations=1)
    np.testing.assert_array_equal(routed.couplings, np.full((4, 6, 5), np.float32(1 / 5)))
    np.testing.assert_allclose(routed.poses, squash(votes.sum(axis=1) / 5), rtol=1e-5)


def test_iterations_do_not_matter_where_there_is_nothing_to_choose():
    votes = random_votes(shape=(2, 6, 1, 3))
    np.testing.assert_allclose(
        route(votes, iterations=4).poses,
        route(votes, iterations=1).poses,
        rtol=1e-5,
    )
    same = np.broadcast_to(random_votes(shape=(2, 6, 1, 3)), (2, 6, 5, 3))
    np.testing.assert_allclose(
        route(same, iterations=4).poses,
        route(same, iterations=1).poses,
        rtol=1e-4,
    )


def test_order_of_input_capsules_does_not_matter():
    votes = random_votes()
    order = np.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(route(votes[:, order]).poses, route(votes).poses, atol=1e-6)


def test_order_of_output_capsules_carries_over():
    votes = random_votes()
    order = np.array([4, 2, 0, 1, 3])
    permuted, plain = route(votes[:, :, order]), route(votes)
    np.testing.assert_allclose(permuted.poses, plain.poses[:, order], atol=1e-6)
    np.testing.assert_allclose(permuted.couplings, plain.couplings[:, :, order], atol=1e-6)


def test_rotating_all_votes_rotates_the_poses():
    votes = random_votes()
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    rotation = np.float32(rotation)
    rotated, plain = route(votes @ rotation), route(votes)
    np.testing.assert_allclose(rotated.poses, plain.poses @ rotation, atol=1e-5)
    np.testing.assert_allclose(rotated.couplings, plain.couplings, atol=1e-5)


def test_images_of_a_batch_do_not_see_each_other():
    votes = random_votes()
    whole = route(votes)
    for image in range(4):
        alone = route(votes[image : image + 1])
        np.testing.assert_allclose(alone.poses[0], whole.poses[image], atol=1e-6)


def test_only_a_bias_tells_votes_from_their_negatives():
    votes, bias = random_votes(), np.full((5, 3), 0.1, np.float32)
    np.testing.assert_allclose(route(-votes).poses, -route(votes).poses, atol=1e-6)
    positive = length(route(votes, bias=bias).poses)
    negative = length(route(-votes, bias=bias).poses)
    assert not np.allclose(positive, negative, atol=1e-3)


@functools.partial(jax.jit, static_argnames=OPTIONS)
def gradient(votes, **options):
    weights = jax.random.normal(jax.random.key(5), (4, 5, 3))
    return jax.grad(lambda v: jnp.sum(weights * dynamic_routing(v, **options).poses))(votes)


def test_stop_gradient_changes_gradients_and_nothing_else():
    votes = random_votes()
    for iterations in (1, 3):
        np.testing.assert_array_equal(
            route(votes, iterations=iterations, stop_gradient=True).poses,
            route(votes, iterations=iterations).poses,
        )
    np.testing.assert_array_equal(
        gradient(votes, iterations=1, stop_gradient=True), gradient(votes, iterations=1)
    )
    assert not np.allclose(
        gradient(votes, iterations=3, stop_gradient=True), gradient(votes, iterations=3), atol=1e-3
    )


def test_stopped_gradient_is_that_of_fixed_couplings():
    votes = random_votes()
    weights = jax.random.normal(jax.random.key(5), (4, 5, 3))
    couplings = route(votes).couplings

    def fixed(v):
        return jnp.sum(weights * squash(jnp.einsum("bij,bijd->bjd", couplings, v)))

    np.testing.assert_allclose(
        gradient(votes, stop_gradient=True), jax.jit(jax.grad(fixed))(votes), atol=1e-6
    )


def plain_routing(votes, iterations, bias, leaky, stop_gradient):
    """The procedure as it is written in the paper, for JAX to differentiate."""
    leak = jnp.zeros_like(votes[:, :, :1, 0])
    logits = jnp.zeros(votes.shape[:3])
    for iteration in range(iterations):
        couplings = (
            jax.nn.softmax(jnp.concatenate([leak, logits], axis=2), axis=2)[..., 1:]
            if leaky
            else jax.nn.softmax(logits, axis=2)
        )
        if stop_gradient:
            couplings = jax.lax.stop_gradient(couplings)
        poses = squash(jnp.einsum("bij,bijd->bjd", couplings, votes) + bias)
        if iteration < iterations - 1:
            logits = logits + jnp.einsum("bijd,bjd->bij", votes, poses)
    return Routed(poses, couplings)


# The number of iterations is that of a loop's turns: its other values go with half of the choices
# inside of it, so that every two values occur together.
@pytest.mark.parametrize(
    ("iterations", "leaky", "stop_gradient"),
    [
        *itertools.product([3], [False, True], [False, True]),
        *((iterations, same, same) for iterations in (1, 5) for same in (False, True)),
        (2, False, True),
        (2, True, False),
    ],
)
def test_gradients_are_those_of_the_plain_procedure(iterations, leaky, stop_gradient):
    random = np.random.default_rng(0)
    votes, bias = random_votes(), np.float32(0.3 * random.normal(size=(5, 3)))
    pose_weights, coupling_weights = (
        np.float32(random.normal(size=shape)) for shape in ((4, 5, 3), (4, 6, 5))
    )

    options = {"iterations": iterations, "leaky": leaky, "stop_gradient": stop_gradient}

    def gradients(routing, votes, bias):
        def weighted(votes, bias):
            poses, couplings, _ = routing(votes, bias=bias, **options)
            return jnp.sum(pose_weights * poses) + jnp.sum(coupling_weights * couplings)

        return jax.grad(weighted, (0, 1))(votes, bias)

    @jax.jit
    def both(votes, bias):
        return tuple(
            gradients(routing, votes, bias) for routing in (dynamic_routing, plain_routing)
        )

    ours, plain = both(votes, bias)
    for our, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(our, expected, atol=1e-5 * np.abs(expected).max())


def test_full_gradient_matches_finite_differences():
    with jax.enable_x64(True):
        votes = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 2, 2)))
        check_grads(
            jax.jit(lambda v: dynamic_routing(v, iterations=3).poses),
            (votes,),
            order=2,
            modes=["rev"],
        )


def test_vmap_is_a_loop():
    votes = random_votes(shape=(3, 4, 6, 5, 3))
    mapped = jax.vmap(gradient)(votes)
    for number in range(3):
        np.testing.assert_allclose(mapped[number], gradient(votes[number]), atol=1e-6)


def test_the_gradient_takes_less_memory_than_the_plain_procedures():
    votes = jax.ShapeDtypeStruct((8, 1152, 10, 16), jnp.float32)

    def temporary(routing):
        def total(votes):
            return jnp.sum(routing(votes).poses)

        return jax.jit(jax.grad(total)).lower(votes).compile().memory_analysis().temp_size_in_bytes

    def plain(votes, iterations=3):
        return plain_routing(votes, iterations, bias=0.0, leaky=False, stop_gradient=False)

    assert temporary(dynamic_routing) < temporary(plain)
    # Two more iterations keep four arrays of the couplings' size, a quarter of the votes.
    more = temporary(functools.partial(dynamic_routing, iterations=5)) - temporary(dynamic_routing)
    assert more <= 0.3 * votes.size * 4
    assert more < temporary(functools.partial(plain, iterations=5)) - temporary(plain)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_are_finite_for_votes_of_zero(dtype):
    votes = jnp.zeros((2, 4, 3, 2), dtype)
    grads = jax.jit(jax.grad(lambda v: jnp.sum(length(dynamic_routing(v).poses))))(votes)
    assert np.all(np.isfinite(np.asarray(grads, np.float32)))


def test_bfloat16_votes_are_routed_in_float32():
    routed = route(random_votes().astype(jnp.bfloat16))
    assert routed.poses.dtype == routed.couplings.dtype == jnp.float32


def test_jit_equals_eager():
    votes = random_votes()
    compiled = jax.jit(functools.partial(dynamic_routing, iterations=3))(votes)
    np.testing.assert_allclose(compiled.poses, dynamic_routing(votes).poses, atol=1e-6)


def test_no_iteration_is_an_error():
    with pytest.raises(ValueError, match="iterations=0"):
        dynamic_routing(random_votes(), iterations=0)
