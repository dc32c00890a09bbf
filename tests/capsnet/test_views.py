"""Views of capsule networks against plain loops over capsules."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from capsnet.layers import ConvolutionalCapsules
from capsnet.networks.heads import CapsuleHead, VectorHead
from capsnet.networks.trunks import NormalisedTrunk, SabourTrunk
from capsnet.paths import Link, received, winning_paths
from capsnet.routing import SelfRouting, UniformRouting
from cnn.decoder import DeconvolutionDecoder
from cnn.output import POSE_OFFSETS, in_mode, read
from cnn.places import Places

views_of = nnx.jit(read, static_argnums=2)
RANDOM = np.random.default_rng(0)


def uniform(*shape):
    return RANDOM.uniform(size=shape).astype(np.float32)


def shares_below(shares, couplings, activations):
    """Shares of input capsules of one image, an output capsule at a time."""
    found = np.zeros(len(activations))
    for output, share in enumerate(shares):
        got = [couplings[i, output] * activations[i] for i in range(len(activations))]
        for i, amount in enumerate(got):
            found[i] += share * amount / sum(got)
    return found


def window_shares_below(shares, couplings, activations, layer):
    """Shares of a map of input capsules of one image, an output place at a time."""
    kernel_size, stride = layer.kernel_size, layer.strides
    height, width, types = activations.shape
    above, below = (shares.shape[0] - 1) * stride + kernel_size - height, 0
    if layer.padding == "SAME":
        below = max(above, 0) // 2
    found = np.zeros_like(activations, dtype=float)
    for row, column in np.ndindex(*shares.shape[:2]):
        inside = []
        for k, (down, right, kind) in enumerate(np.ndindex(kernel_size, kernel_size, types)):
            place = (stride * row + down - below, stride * column + right - below)
            if 0 <= place[0] < height and 0 <= place[1] < width:
                inside.append((k, (*place, kind)))
        for output, share in enumerate(shares[row, column]):
            got = {at: couplings[row, column, k, output] * activations[at] for k, at in inside}
            for at, amount in got.items():
                found[at] += share * amount / sum(got.values())
    return found


def test_shares_of_a_list_by_hand():
    couplings = np.array([[[0.5, 0.5], [0.25, 0.75]]], np.float32)
    found = received(jnp.array([[1.0, 0.0]]), jnp.asarray(couplings))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3]], rtol=1e-6)
    active = received(jnp.array([[0.0, 1.0]]), jnp.asarray(couplings), jnp.array([[0.3, 0.6]]))
    np.testing.assert_allclose(active, [[0.15 / 0.6, 0.45 / 0.6]], rtol=1e-6)
    nothing = received(jnp.ones((1, 2)), jnp.asarray(couplings), jnp.zeros((1, 2)))
    np.testing.assert_array_equal(nothing, [[0.0, 0.0]])


@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "VALID")])
def test_shares_of_a_map_are_those_of_loops(stride, padding):
    layer = ConvolutionalCapsules(
        2, 4, 3, 4, strides=stride, padding=padding, rngs=nnx.Rngs(0), routing=SelfRouting()
    )
    size = (5, 5) if padding == "SAME" else (2, 2)
    shares, couplings = uniform(2, *size, 3), uniform(2, *size, 18, 3)
    activations = uniform(2, 5, 6 if stride == 2 else 5, 2)
    found = nnx.jit(lambda layer, *given: layer.received(*given))(
        layer, shares, couplings, activations
    )
    for image in range(2):
        expected = window_shares_below(shares[image], couplings[image], activations[image], layer)
        np.testing.assert_allclose(found[image], expected, rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), shares.sum(axis=(1, 2, 3)), rtol=1e-5)


def test_a_path_goes_down_by_the_strongest_and_shares_by_all():
    # Two lists of four capsules, the lower one on a map of 2x1 places of two types.
    upper = jnp.asarray(np.eye(4, 3)[None] * 0.5 + 0.1, jnp.float32)
    lower = uniform(1, 4, 4)
    places = Places((4, 2), (2, 1))
    links = [
        Link(lambda shares: received(shares, jnp.asarray(lower)), places),
        Link(lambda shares: received(shares, upper), None),
    ]
    (found,) = winning_paths(jnp.array([2]), 3, links)
    middle = shares_below([0.0, 0.0, 1.0], np.asarray(upper[0]), np.ones(4))
    expected = shares_below(middle, lower[0], np.ones(4))
    np.testing.assert_allclose(found.shares[0].ravel(), expected, rtol=1e-5)
    assert np.argmax(middle) == 2
    place, kind = divmod(int(np.argmax(lower[0, :, 2])), 2)
    assert found.strongest[0].tolist() == [place, 0, kind]
    np.testing.assert_allclose(found.places[0], places.centres())


@functools.cache
def network(config, shape):
    made = nnx.jit(lambda: config().build(shape, 5, nnx.Rngs(0)))()
    return in_mode(made, training=False)


def self_routing():
    return capsnet.SelfRoutingCapsNetConfig((2, 3), (1, 2), 2, 4, hidden_layers=1)


def attention():
    return capsnet.AttentionCapsNetConfig((2, 3), (1, 1), 2, 2, (1,))


def matrix():
    return capsnet.MatrixCapsNetConfig(3, 2, (2, 2), routing=UniformRouting())


DEEP = {
    "self-routing": (self_routing, (8, 6, 1), [(4, 3), (4, 3)]),
    "attention": (attention, (9, 8, 3), [(5, 4), (3, 2)]),
    "matrix": (matrix, (17, 19, 1), [(7, 8), (3, 3), (1, 1)]),
}


@pytest.mark.parametrize(("config", "shape", "sizes"), DEEP.values(), ids=DEEP)
def test_every_layer_has_all_of_the_winner(config, shape, sizes):
    made, images = network(config, shape), uniform(3, *shape)
    found = views_of(made, images, ("winning_paths", "capsule_places", "couplings", "logits"))
    layers = found["winning_paths"]
    assert [layer.shares.shape[1:] for layer in layers] == [(*size, 2) for size in sizes]
    for layer in layers:
        np.testing.assert_allclose(layer.shares.sum(axis=(1, 2, 3)), 1.0, rtol=1e-4)
        assert np.all((np.abs(layer.places) < 1.0) & (layer.shares >= 0.0)[..., 0, None])
    assert found["capsule_places"].shape == (3, *sizes[-1], 2)
    assert found["couplings"].shape[1] == 2 * np.prod(sizes[-1])
    # The highest layer, from the couplings alone or with activations that are known.
    if config is attention:
        winners = np.argmax(found["logits"], axis=1)
        of_winner = np.take_along_axis(found["couplings"], winners[:, None, None], 2)[..., 0]
        expected = of_winner / of_winner.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(layers[-1].shares.reshape(3, -1), expected, rtol=1e-4)
        strongest = np.ravel_multi_index(layers[-1].strongest.T, layers[-1].shares.shape[1:])
        np.testing.assert_array_equal(strongest, np.argmax(of_winner, axis=1))


def test_layers_below_have_the_shares_of_loops():
    made, shape = network(self_routing, (8, 6, 1)), (8, 6, 1)
    images = uniform(2, *shape)

    def insides(made, images):
        layers, hidden = made._layers(images)
        return [each.activations for each in layers], hidden[0].couplings

    (primary, _), couplings = nnx.jit(insides)(made, images)
    lowest, highest = views_of(made, images, ("winning_paths",))["winning_paths"]
    layer = made.hidden_capsules[0].capsules
    for image in range(2):
        expected = window_shares_below(
            np.float64(highest.shares[image]), np.float64(couplings[image]), primary[image], layer
        )
        np.testing.assert_allclose(lowest.shares[image], expected, rtol=1e-4)


@functools.cache
def decoded():
    config = capsnet.CapsNetConfig(3, 3, 2, 4, class_dim=3, decoder=DeconvolutionDecoder((3, 2)))
    made = nnx.jit(lambda: config.build((9, 8, 3), 5, nnx.Rngs(0)))()
    images = uniform(2, 9, 8, 3)
    return made, images, views_of(made, images)


def test_sweeps_move_one_component_of_the_winner():
    made, _, found = decoded()
    sweeps = found["pose_sweeps"]
    assert sweeps.shape == (2, 3, 11, 9, 8, 3)
    np.testing.assert_allclose(POSE_OFFSETS, np.arange(-5, 6) * 0.05, atol=1e-7)
    for component in range(3):
        np.testing.assert_allclose(sweeps[:, component, 5], found["reconstruction"], atol=1e-6)
    winners = np.argmax(found["lengths"], axis=1)
    moved = np.array(found["poses"])
    moved[np.arange(2), winners, 1] -= 0.2
    mask = np.eye(5, dtype=np.float32)[winners]
    alone = nnx.jit(lambda decoder, *given: decoder(*given))(made.decoder, moved, mask)
    np.testing.assert_allclose(sweeps[:, 1, 1], alone, atol=1e-6)
    assert not np.allclose(alone, found["reconstruction"], atol=1e-5)


def test_the_places_are_in_the_order_of_the_couplings():
    made, images, found = decoded()
    assert found["capsule_places"].shape == (2, 3, 2, 2)
    # What a place does not see does not move the votes of its capsules, so nor these capsules.
    row, column = 2, 1
    centre = found["capsule_places"][0, row, column]
    x, y = (centre + 1.0) * np.array([8, 9]) / 2.0 - 0.5
    assert (x, y) == pytest.approx((2 + 2 * column, 2 + 2 * row))
    outside = np.array(images)
    outside[:, int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 0.0
    same = np.array(images) - outside
    primary = nnx.jit(lambda made, images: made._primary(images))
    ours, theirs = (np.asarray(primary(made, each)) for each in (images, same))
    equal = np.isclose(ours, theirs, atol=1e-6).all(axis=(0, 2)).reshape(3, 2, 2)
    assert equal[row, column].all()
    assert not equal[0, 0].any()


def test_only_capsules_on_a_map_have_places():
    def fields(config, shape=(9, 9, 1)):
        made = nnx.eval_shape(lambda: config.build(shape, 5, nnx.Rngs(0)))
        return nnx.eval_shape(lambda made: read(made, jnp.zeros((1, *shape))), made).keys()

    views = {"pose_sweeps", "capsule_places", "winning_paths"}
    trunk = SabourTrunk(2, 2, 3, 3)
    efficient = capsnet.EfficientCapsNetConfig((3, 4), (3, 3), (1, 2), 2, 2)
    assert fields(efficient) & views == {"pose_sweeps"}
    vectors = capsnet.TrunkAndHeadConfig(trunk, VectorHead(), reconstruction_weight=0.1)
    assert fields(vectors) & views == {"pose_sweeps"}
    capsules = capsnet.TrunkAndHeadConfig(NormalisedTrunk(2, 2, (3,), (2,)), CapsuleHead())
    assert fields(capsules) & views == {"capsule_places"}
    dense = capsnet.AttentionCapsNetConfig((2,), (1,), 2, 2, (2,), (3,))
    assert fields(dense) & views == {"winning_paths"}
    assert fields(capsnet.VariationalCapsNetConfig(3, 2, (2,)), (13, 13, 1)) & views == {
        "capsule_places",
        "winning_paths",
    }


def test_views_are_made_only_where_they_are_asked_for():
    class Network:
        def __call__(self, images):
            return made(images)

        def views(self, images):
            raise AssertionError("nobody asked")

    made, images, _ = decoded()
    shapes = nnx.eval_shape(lambda: read(Network(), images, ("logits", "poses")))
    assert set(shapes) == {"logits", "poses"}
    with pytest.raises(KeyError, match="colour"):
        nnx.eval_shape(lambda: read(made, images, ("colour",)))
