"""What every routing that a command line can choose keeps to, whichever it is."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from capsnet.layers import DenseCapsules
from capsnet.routing import (
    Capsules,
    DynamicRouting,
    ExpectationMaximisationRouting,
    InvertedAttentionRouting,
    Routing,
    SelfAttentionRouting,
    SelfRouting,
    Sizes,
    UniformRouting,
    VariationalBayesRouting,
)
from capsnet.routing.base import check_routing
from training.config_names import choices

BATCH, SIZES = 4, Sizes(6, 4, 5, 4)
# Couplings of an input capsule to all output capsules, or of an output capsule to all input
# capsules, add up to one.
SUMS_OVER_OUT = {
    DynamicRouting: True,
    ExpectationMaximisationRouting: True,
    InvertedAttentionRouting: True,
    SelfAttentionRouting: True,
    SelfRouting: True,
    UniformRouting: False,
    VariationalBayesRouting: True,
}


@functools.cache
def built(name):
    """The routing; its weights are random, for those that it starts with may be mere zeros."""
    routing = choices(Routing)[name]().build(SIZES, nnx.Rngs(0))
    if isinstance(routing, nnx.Module):
        random = np.random.default_rng(1)
        for _, weights in nnx.to_flat_state(nnx.state(routing, nnx.Param)):
            weights[...] += np.float32(0.5 * random.normal(size=weights.shape))
    return routing


@functools.cache
def compiled(name):
    """The routing, and the gradient of something that all its results have a part in."""
    routing = built(name)
    graph = nnx.graphdef(routing) if isinstance(routing, nnx.Module) else None

    def route(votes, poses, activations, weights):
        routed_by = routing if graph is None else nnx.merge(graph, weights)
        return routed_by(votes, Capsules(poses, activations))

    def total(*inputs):
        return sum(jnp.sum(jnp.sin(part)) for part in route(*inputs) if part is not None)

    return jax.jit(route), jax.jit(jax.grad(total, (0, 1, 2, 3)))


def inputs():
    random = np.random.default_rng(0)
    votes = random.normal(size=(BATCH, SIZES.in_capsules, SIZES.out_capsules, SIZES.out_dim))
    poses = random.normal(size=(BATCH, SIZES.in_capsules, SIZES.in_dim))
    activations = random.uniform(0.1, 0.9, size=(BATCH, SIZES.in_capsules))
    return [np.float32(part) for part in (votes, poses, activations)]


def weights_of(name):
    """The weights of a routing; of one without any there are none."""
    return nnx.state(built(name)) if isinstance(built(name), nnx.Module) else {}


def in_order(order, weights):
    """Weights that are those of an input capsule each, in another order; the others as they are."""
    own = SIZES.in_capsules
    return jax.tree.map(lambda each: each[order] if each.shape[0] == own else each, weights)


def routed(name, *given):
    return compiled(name)[0](*given, weights_of(name))


every = pytest.mark.parametrize("name", choices(Routing))


@every
def test_couplings_are_shares(name):
    couplings = routed(name, *inputs()).couplings
    assert couplings.shape == (BATCH, SIZES.in_capsules, SIZES.out_capsules)
    assert np.all(np.asarray(couplings) >= 0)
    sums = np.sum(couplings, axis=2 if SUMS_OVER_OUT[choices(Routing)[name]] else 1)
    np.testing.assert_allclose(sums, np.ones_like(sums), rtol=1e-5)


@every
def test_the_order_of_input_capsules_does_not_matter(name):
    order = np.array([3, 1, 5, 0, 2, 4])
    plain = routed(name, *inputs())
    weights = in_order(order, weights_of(name))
    permuted = compiled(name)[0](*(part[:, order] for part in inputs()), weights)
    np.testing.assert_allclose(permuted.poses, plain.poses, atol=1e-5)
    np.testing.assert_allclose(permuted.couplings, plain.couplings[:, order], atol=1e-5)
    if plain.activations is not None:
        np.testing.assert_allclose(permuted.activations, plain.activations, atol=1e-5)


@every
def test_images_of_a_batch_do_not_see_each_other(name):
    plain = routed(name, *inputs())
    others = inputs()
    for part in others:
        part[1:] *= 0.5
    other = routed(name, *others)
    for part, expected in zip(other, plain, strict=True):
        if part is not None:
            np.testing.assert_allclose(part[0], expected[0], atol=1e-6)


@every
def test_a_vote_that_is_no_number_is_not_hidden(name):
    votes, *rest = inputs()
    votes[2, 4, 3, 1] = np.nan
    poses = np.asarray(routed(name, votes, *rest).poses)
    assert np.isnan(poses[2]).any()
    assert np.all(np.isfinite(poses[[0, 1, 3]]))


@every
def test_gradients_are_finite_for_capsules_of_zero(name):
    zeros = (np.zeros_like(part) for part in inputs())
    gradients = compiled(name)[1](*zeros, weights_of(name))
    for part in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(part))


@every
def test_routing_is_float32_inside_bfloat16(name):
    exact = routed(name, *inputs())
    rounded = routed(name, *(jnp.asarray(part, jnp.bfloat16) for part in inputs()))
    assert {part.dtype for part in rounded if part is not None} == {np.dtype("float32")}
    np.testing.assert_allclose(rounded.poses, exact.poses, atol=0.1)


@every
def test_a_layer_gives_activations_whatever_the_routing(name):
    layer = DenseCapsules(*SIZES, routing=choices(Routing)[name](), rngs=nnx.Rngs(0))
    _, poses, activations = inputs()
    shape = nnx.eval_shape(lambda: layer(poses, activations)).activations.shape
    assert shape == (BATCH, SIZES.out_capsules)


@every
def test_a_bias_is_for_the_routings_that_take_one(name):
    routing = choices(Routing)[name]()
    config = capsnet.CapsNetConfig(
        2, 3, 2, 4, class_bias=True, routing=routing, reconstruction_weight=0.0
    )

    def layer():
        zeros = nnx.initializers.zeros_init()
        return DenseCapsules(*SIZES, routing=routing, bias_init=zeros, rngs=nnx.Rngs(0))

    def lengths():
        return config.build((7, 7, 1), 3, nnx.Rngs(0))(np.zeros((2, 7, 7, 1), np.float32)).lengths

    if routing.takes_bias:
        assert nnx.eval_shape(lambda: layer()(inputs()[1])).poses.shape == (BATCH, 5, 4)
        assert nnx.eval_shape(lengths).shape == (2, 3)
        return
    with pytest.raises(ValueError, match=r"bias_init: must be None with routing=.*no bias"):
        layer()
    if routing.activates:
        with pytest.raises(ValueError, match="class_bias=True: must be False with routing="):
            config.check()


def test_every_routing_is_told_what_its_couplings_add_up_to():
    assert set(choices(Routing).values()) == set(SUMS_OVER_OUT)


@dataclasses.dataclass(frozen=True)
class Melting(Routing):
    share: float = 1.0


def with_bias(value):
    routing = SelfAttentionRouting()
    object.__setattr__(routing, "bias", value)  # past the check of types that only tests have
    return routing


def test_what_is_no_routing_is_said_in_one_line():
    for routing, message in [
        ("dynamic", "routing='dynamic': must be of a type that derives from"),
        (DynamicRouting(iterations=0), "iterations=0: must be at least 1"),
        (with_bias("yes"), "bias='yes': must be True or False"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_routing(routing)
    with pytest.raises(TypeError, match="Melting has neither __call__ nor build"):
        Melting().build(SIZES, nnx.Rngs(0))
