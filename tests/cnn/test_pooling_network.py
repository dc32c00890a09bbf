import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn.networks.pooling import PoolingNetworkConfig

IMAGES = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1))


def build(**fields):
    return PoolingNetworkConfig(channels=4, **fields).build((16, 16, 1), 10, nnx.Rngs(0))


def test_blocks_share_the_layers_out():
    maps = jax.eval_shape(lambda: build(layers=5).activations(IMAGES))
    assert {name: value.shape[1:] for name, value in maps.items()} == {
        "convolution 1": (16, 16, 4),
        "convolution 2": (16, 16, 4),
        "filtered 1": (16, 16, 4),
        "downsampling 1": (8, 8, 4),
        "convolution 3": (8, 8, 8),
        "convolution 4": (8, 8, 8),
        "filtered 2": (8, 8, 8),
        "downsampling 2": (4, 4, 8),
        "convolution 5": (4, 4, 8),
    }


@pytest.mark.parametrize("kind", ["avg2", "stride2"])
def test_what_is_subsampled_is_named(kind):
    maps = build(downsampling=kind).activations(IMAGES)
    before = maps["filtered 1"] if kind == "avg2" else maps["convolution 2"]
    assert ("filtered 1" in maps) == (kind == "avg2")
    np.testing.assert_array_equal(before[:, ::2, ::2], maps["downsampling 1"])


@pytest.mark.parametrize("kind", ["max2", "max_blur5", "aps"])
def test_the_kind_of_subsampling_costs_no_parameters(kind):
    def size(network):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))

    assert size(build(downsampling=kind)) == size(build(downsampling="stride2"))


@pytest.mark.parametrize(
    ("fields", "invariant"),
    [
        ({"downsamplings": 0, "head": "max"}, True),
        ({"downsamplings": 0}, True),
        ({"downsampling": "aps"}, True),
        ({"downsampling": "stride2"}, False),
        ({"downsamplings": 0, "head": "dense"}, False),
    ],
)
def test_who_is_invariant_to_circular_shifts(fields, invariant):
    network = build(edges="circular", **fields)
    logits = network(IMAGES).logits
    change = jnp.max(jnp.abs(network(jnp.roll(IMAGES, (3, 5), (1, 2))).logits - logits))
    assert (change < 1e-5 * jnp.max(jnp.abs(logits))) == invariant


def test_multiples_of_the_cumulative_stride_change_nothing():
    network = build(edges="circular", downsampling="max2", layers=3)
    moved = network(jnp.roll(IMAGES, (4, -8), (1, 2))).logits
    np.testing.assert_allclose(moved, network(IMAGES).logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"downsampling": "max7"}, "downsampling='max7'"),
        ({"head": "flat"}, "head='flat'"),
        ({"edges": "mirror"}, "edges='mirror'"),
        ({"layers": 2}, "layers=2: must be at least downsamplings"),
        ({"downsamplings": -1}, "downsamplings=-1"),
    ],
)
def test_networks_that_are_not(fields, message):
    with pytest.raises(ValueError, match=message):
        build(**fields)
