import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from cnn.networks.residual import ResidualNetwork, ResidualNetworkConfig


@pytest.mark.parametrize(("width", "channels"), [(64, (16, 32, 64)), (77, (20, 39, 77))])
def test_each_stage_has_twice_the_channels_of_the_one_before(width, channels):
    assert ResidualNetworkConfig().channels(width) == channels


def test_a_published_network():
    """ResNet-20 on CIFAR10: 0.27 million in the paper, without the shortcuts' 1x1 convolutions."""
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64

    def build():
        return ResidualNetwork(ResidualNetworkConfig(), (32, 32, 3), 10, width=64, rngs=nnx.Rngs(0))

    assert count_parameters(build) == 269_722 + shortcuts


def test_features_are_means_over_places():
    config = ResidualNetworkConfig((1, 1), 900)
    network = nnx.view(config.build((9, 7, 1), 10, nnx.Rngs(0)), use_running_average=True)
    images = jax.random.uniform(jax.random.key(0), (2, 9, 7, 1))
    maps = network.activations(images)
    sizes = {name: value.shape[1:3] for name, value in maps.items()}
    assert sizes == {"convolution": (9, 7), "block 1": (9, 7), "block 2": (5, 4)}
    np.testing.assert_allclose(
        network(images).features, jnp.mean(maps["block 2"], axis=(1, 2)), rtol=1e-6
    )
