import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from data.batches import Batch
from equivariant import (
    C8,
    C16,
    P4,
    P4M,
    TRIVIAL,
    Group,
    GroupConvolution,
    LiftingConvolution,
    p4cnn,
    pool_elements,
    pool_places,
    z2cnn,
)
from equivariant.filters import oriented_basis
from equivariant.groups import left_quotients
from equivariant.networks.cohen_welling import GroupNetworkConfig

GROUPS = {"trivial": TRIVIAL, "p4": P4, "p4m": P4M, "c8": C8, "c16": C16}
EXACT = [P4, P4M, Group(2), Group(2, mirrors=True)]


def act(group, element, maps):
    """An element on images or maps `[batch, height, width, ...]`: mirrors, then turns them."""
    mirrored, turns = divmod(element, group.rotations)
    maps = maps[:, :, ::-1] if mirrored else maps
    return np.rot90(maps, turns * (4 // group.rotations), axes=(1, 2))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", GROUPS)
def test_they_are_groups(name):
    group = GROUPS[name]
    for one in range(group.size):
        assert group.product(0, one) == group.product(one, 0) == one
        assert group.product(one, group.inverse(one)) == 0
        for other in range(group.size):
            both = group.matrix(one) @ group.matrix(other)
            np.testing.assert_allclose(group.matrix(group.product(one, other)), both, atol=1e-12)
    assert np.all(np.sort(left_quotients(group), axis=1) == np.arange(group.size))


def test_a_quarter_turn_by_hand():
    """Counter-clockwise as displayed: what is on the right comes to the top."""
    np.testing.assert_allclose(P4.matrix(1) @ [1.0, 0.0], [0.0, -1.0], atol=1e-12)
    weights = np.arange(9.0)
    turned = oriented_basis(P4, 3) @ weights
    np.testing.assert_array_equal(turned[0], weights.reshape(3, 3))
    np.testing.assert_array_equal(turned[1], [[2, 5, 8], [1, 4, 7], [0, 3, 6]])
    mirrored = oriented_basis(P4M, 3)[4] @ weights
    np.testing.assert_array_equal(mirrored, [[2, 1, 0], [5, 4, 3], [8, 7, 6]])


def plain(group, maps, kernel, basis, bias):
    """The defining sum, in loops and float64: maps `[height, width, elements, channels]`."""
    height, width, elements, _ = maps.shape
    size = basis.shape[1]
    quotients = left_quotients(group) if elements > 1 else np.zeros((group.size, 1), int)
    out = np.zeros((height - size + 1, width - size + 1, group.size, kernel.shape[-1]))
    for y, x, g in np.ndindex(out.shape[:3]):
        for h in range(elements):
            filters = np.einsum("yxw,wio->yxio", basis[g], kernel[:, quotients[g, h]])
            window = maps[y : y + size, x : x + size, h]
            out[y, x, g] += np.einsum("yxi,yxio->o", window, filters)
    return out + bias


@pytest.mark.parametrize(("name", "size"), [("p4m", 3), ("c8", 5)])
def test_convolutions_are_their_defining_sums(name, size):
    group = GROUPS[name]
    lifting = LiftingConvolution(group, 2, 3, size, rngs=nnx.Rngs(0))
    within = GroupConvolution(group, 3, 2, size, rngs=nnx.Rngs(1))
    for layer in (lifting, within):
        layer.bias[...] = noise(*layer.bias.shape)
    images = noise(1, 11, 12, 2)
    maps = lifting(images)
    basis = oriented_basis(group, size)
    for found, inputs, layer in (
        (maps, images[:, :, :, None], lifting),
        (within(maps), maps, within),
    ):
        kernel, bias = (np.asarray(each[...], np.float64) for each in (layer.kernel, layer.bias))
        expected = plain(group, np.asarray(inputs[0], np.float64), kernel, basis, bias)
        np.testing.assert_allclose(found[0], expected, atol=1e-4)


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_acting_on_an_image_permutes_the_elements(group):
    lifting = LiftingConvolution(group, 1, 2, 3, rngs=nnx.Rngs(0))
    within = GroupConvolution(group, 2, 2, 3, padding="SAME", rngs=nnx.Rngs(1))

    @jax.jit
    def features(images):
        return pool_places(within(nnx.relu(lifting(images))))

    images = noise(2, 10, 10, 1)
    before = features(images)
    for element in range(group.size):
        # Element g of the maps of a turned image is element t^-1 g of those of the image.
        order = left_quotients(group)[element]
        expected = act(group, element, np.asarray(before)[:, :, :, order])
        np.testing.assert_allclose(features(act(group, element, images)), expected, atol=1e-5)
        pooled = act(group, element, np.asarray(pool_elements(before)))
        np.testing.assert_allclose(pool_elements(expected), pooled, atol=1e-5)


def blobs(turn, seed):
    """Smooth images, sums of blobs, that are turned by formula: `[1, 21, 21, 1]`."""
    rng = np.random.default_rng(seed)
    places, heights = rng.uniform(-6, 6, size=(12, 2)), rng.normal(size=12)
    y, x = np.mgrid[:21, :21] - 10.0
    cos, sin = np.cos(turn), np.sin(turn)
    turned = places @ np.array([[cos, -sin], [sin, cos]])  # counter-clockwise, for y points down
    image = sum(
        height * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 2.0)
        for place, height in zip(turned, heights, strict=True)
    )
    return image.astype(np.float32)[None, ..., None]


@pytest.mark.parametrize(("group", "most"), [(C8, 0.04), (C16, 0.04)], ids=["C8", "C16"])
def test_finer_turns_are_nearly_exact_on_smooth_images(group, most):
    """At the image's middle, where a turned map has a pixel."""
    layer = LiftingConvolution(group, 1, 8, 5, use_bias=False, rngs=nnx.Rngs(3))
    before, after = [], []
    for seed in range(20):
        before.append(layer(blobs(0.0, seed))[0, 8, 8])
        after.append(layer(blobs(2.0 * np.pi / group.rotations, seed))[0, 8, 8])
    expected = np.array(before)[:, left_quotients(group)[1]]
    error = np.linalg.norm(np.array(after) - expected) / np.linalg.norm(expected)
    assert error < most
    shuffled = np.linalg.norm(np.array(after) - np.array(before)) / np.linalg.norm(expected)
    assert shuffled > 5.0 * most


def test_parameters_of_the_paper():
    def parameters(config):
        return count_parameters(lambda: config.build((28, 28, 1), 10, nnx.Rngs(0)))

    assert parameters(z2cnn()) == 21_750
    assert parameters(p4cnn()) == 24_680


@functools.cache
def network(group):
    model = GroupNetworkConfig(group, channels=3).build((28, 28, 1), 4, nnx.Rngs(0))
    model.eval()
    return model, nnx.jit(lambda model, images: model(images).logits)


@pytest.mark.parametrize("name", ["p4", "p4m"])
def test_predictions_do_not_change_with_the_group(name):
    model, logits = network(name)
    images = np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype(np.float32)
    before = logits(model, images)
    assert np.ptp(before) > 1e-2
    for element in range(GROUPS[name].size):
        after = logits(model, np.ascontiguousarray(act(GROUPS[name], element, images)))
        np.testing.assert_allclose(after, before, atol=1e-5)
    if name == "p4":
        assert np.max(np.abs(logits(model, images[:, :, ::-1]) - before)) > 1e-3


def test_it_learns_and_normalises_by_all_elements():
    model = GroupNetworkConfig("p4", channels=3).build((28, 28, 1), 4, nnx.Rngs(0))
    batch = Batch(jnp.asarray(noise(6, 28, 28, 1)) % 1.0, jnp.arange(6) % 4)
    loss, gradients = nnx.jit(nnx.value_and_grad(lambda model: model.loss(batch)[0]))(model)
    assert np.isfinite(loss)
    assert all(np.any(leaf != 0.0) for leaf in jax.tree.leaves(gradients) if leaf.ndim > 1)
    assert model.layers[0].norm.mean.shape == (3,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Group(0), "rotations=0"),
        (
            lambda: LiftingConvolution(C8, 1, 1, 3, rngs=nnx.Rngs(0)),
            "kernel_size=3: must be 1",
        ),
        (lambda: LiftingConvolution(P4, 1, 1, 3, padding="x", rngs=nnx.Rngs(0)), "padding='x'"),
        (lambda: LiftingConvolution(P4, 1, 1, 3, lowering="x", rngs=nnx.Rngs(0)), "lowering='x'"),
        (
            lambda: GroupConvolution(P4, 1, 1, 3, rngs=nnx.Rngs(0))(jnp.zeros((1, 4, 4, 8, 1))),
            "must have the 4 elements",
        ),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
