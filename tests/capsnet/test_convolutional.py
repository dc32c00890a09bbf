import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet.layers import ConvolutionalCapsules, DenseCapsules
from capsnet.layers.places import Windows
from capsnet.routing import Routed, Routing

run = nnx.jit(lambda layer, *inputs: layer(*inputs))


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_each_place_routes_the_capsules_of_its_window():
    layer = ConvolutionalCapsules(2, 4, 3, 5, kernel_size=3, strides=2, rngs=nnx.Rngs(0))
    poses, activations = normal(2, 7, 5, 2, 4), np.full((2, 7, 5, 2), 0.5, np.float32)
    routed = run(layer, poses, activations)
    assert routed.poses.shape == (2, 3, 2, 3, 5)
    assert routed.couplings.shape == (2, 3, 2, 18, 3)
    dense = DenseCapsules(18, 4, 3, 5, rngs=nnx.Rngs(1))
    dense.kernel[...] = layer.capsules.kernel[...]
    for row, column in [(0, 0), (2, 1)]:
        window = poses[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        alone = run(dense, window.reshape(2, 18, 4), np.full((2, 18), 0.5, np.float32))
        for part, expected in zip(routed, alone, strict=True):
            np.testing.assert_allclose(part[:, row, column], expected, atol=1e-5)


def test_padding_adds_capsules_of_zeros():
    same = ConvolutionalCapsules(2, 4, 3, 5, padding="SAME", strides=2, rngs=nnx.Rngs(0))
    valid = ConvolutionalCapsules(2, 4, 3, 5, strides=2, rngs=nnx.Rngs(0))
    poses = normal(1, 6, 5, 2, 4)
    # Three windows of three, two apart, are seven along the six and five plus two along the five.
    padded = np.pad(poses, ((0, 0), (0, 1), (1, 1), (0, 0), (0, 0)))
    np.testing.assert_allclose(run(same, poses).poses, run(valid, padded).poses, atol=1e-6)


def test_windows_overlap_as_those_of_a_convolution():
    values = normal(1, 5, 6, 2)
    windows = Windows((5, 6), 3, 2)
    taken = np.asarray(windows.take(jnp.asarray(values)))
    assert taken.shape == (1, 2, 2, 9, 2)
    np.testing.assert_array_equal(taken[0, 1, 1, 3 * 2 + 1], values[0, 2 + 2, 2 + 1])


def softmax_over_all(logits, size, kernel_size, strides):
    """The softmax in plain loops, a child at a time."""
    shares = np.zeros_like(logits)
    for row, column, kind in np.ndindex(*size, logits.shape[4]):
        found = []
        for out_row, out_column in np.ndindex(*logits.shape[1:3]):
            down, right = row - strides * out_row, column - strides * out_column
            if 0 <= down < kernel_size and 0 <= right < kernel_size:
                found.append((0, out_row, out_column, kernel_size * down + right, kind))
        total = sum(np.exp(logits[at]).sum() for at in found)
        for at in found:
            shares[at] = np.exp(logits[at]) / total
    return shares


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 1), (3, 2), (2, 2)])
def test_parents_of_all_places_compete_for_a_child(kernel_size, strides):
    windows = Windows((5, 6), kernel_size, strides)
    logits = 3 * normal(1, *windows.out_size, kernel_size**2, 2, 3)
    shares = jax.jit(windows.softmax)(logits)
    expected = softmax_over_all(np.float64(logits), (5, 6), kernel_size, strides)
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    # Far logits neither overflow nor vanish.
    np.testing.assert_allclose(jax.jit(windows.softmax)(logits + 500), expected, atol=1e-4)


@dataclasses.dataclass(frozen=True)
class ShareRouting(Routing):
    """Takes the couplings of equal logits for its poses, to show what the softmax went over."""

    over_places = True

    def __call__(self, votes, capsules, *, softmax):
        return Routed(jnp.mean(votes, axis=1), softmax(jnp.zeros(votes.shape[:3])))


def test_a_routing_over_places_is_given_their_softmax():
    layer = ConvolutionalCapsules(1, 2, 2, 2, routing=ShareRouting(), rngs=nnx.Rngs(0))
    couplings = run(layer, normal(1, 5, 5, 1, 2)).couplings
    # The capsule in the middle is in all nine windows, that in the corner in one.
    assert float(couplings[0, 0, 0, 8, 0]) == pytest.approx(1 / 18)
    assert float(couplings[0, 0, 0, 0, 0]) == pytest.approx(1 / 2)
    dense = DenseCapsules(3, 2, 2, 2, routing=ShareRouting(), rngs=nnx.Rngs(0))
    assert float(run(dense, normal(1, 3, 2)).couplings[0, 0, 0]) == pytest.approx(1 / 2)


@pytest.mark.parametrize("pose", ["vector", "matrix"])
def test_other_capsules_at_a_place_are_an_error(pose):
    layer = ConvolutionalCapsules(2, 4, 3, 4, pose=pose, rngs=nnx.Rngs(0))
    for types in (1, 4):
        with pytest.raises(ValueError, match=rf"5, {types}, 4\): .* \[types, dim\] = \(2, 4\)"):
            layer(normal(1, 5, 5, types, 4))


def test_maps_that_are_too_small_are_named():
    layer = ConvolutionalCapsules(2, 4, 3, 5, kernel_size=4, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"3x5 capsules is too small for kernel_size=4"):
        layer(normal(1, 3, 5, 2, 4))
    with pytest.raises(ValueError, match="padding='FULL'"):
        ConvolutionalCapsules(2, 4, 3, 5, padding="FULL", rngs=nnx.Rngs(0))
