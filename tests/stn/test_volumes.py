import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from data.batches import Batch
from stn.networks.volumes import VolumeLocalisation, VolumeNetwork, VolumeNetworkConfig

SMALL = VolumeNetworkConfig(output=24, width=4)


def build(config=SMALL, side=24):
    return config.build((side, side, side, 1), 10, nnx.Rngs(0))


def test_a_new_network_projects_the_volume_as_it_is():
    volumes = jax.random.uniform(jax.random.key(0), (2, 24, 24, 24, 1))
    projected = nnx.jit(lambda network, volumes: network.project(volumes))(build(), volumes)
    np.testing.assert_allclose(projected, jnp.mean(volumes, axis=1), atol=1e-5)


def test_the_output_may_be_smaller_than_the_volume():
    network = build(VolumeNetworkConfig(output=22, width=4), side=28)
    assert network(jnp.ones((2, 28, 28, 28, 1))).logits.shape == (2, 10)


def test_a_turn_of_the_volume_can_be_undone():
    """With x and z exchanged by the transformer, the projection is along the volume's x."""
    network = build()
    exchange = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    network.transformer.regression.bias[...] = jnp.asarray(exchange, jnp.float32)
    volumes = jax.random.uniform(jax.random.key(0), (1, 24, 24, 24, 1))
    expected = jnp.transpose(jnp.mean(volumes, axis=3), (0, 2, 1, 3))
    projected = nnx.jit(VolumeNetwork.project)(network, volumes)
    np.testing.assert_allclose(projected, expected, atol=1e-5)


def test_a_step_along_the_gradient_of_the_labels_loss_moves_every_parameter_of_the_map():
    graph, params, rest = nnx.split(build(), nnx.Param, ...)
    volumes = jax.random.uniform(jax.random.key(0), (2, 24, 24, 24, 1))
    batch = Batch(volumes, jnp.array([3, 7]))

    @jax.jit
    @jax.value_and_grad
    def loss_of(params):
        return nnx.merge(graph, params, rest, copy=True).loss(batch)[0]

    loss, gradients = loss_of(params)
    bias = gradients["transformer"]["regression"]["bias"][...]
    assert bias.shape == (12,)
    assert np.all(np.abs(bias) > 0)
    lower = jax.tree.map(lambda value, slope: value - 1e-3 * slope, params, gradients)
    assert float(loss_of(lower)[0]) < float(loss)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 2, 28, 1)])
def test_what_is_not_a_volume_is_named(shape):
    with pytest.raises(ValueError, match="volumes of shape"):
        VolumeLocalisation(shape, shrink=4, rngs=nnx.Rngs(0))
