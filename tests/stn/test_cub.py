import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from data.batches import Batch
from stn.networks.birds import PartsConfig

SHAPE = (16, 16, 3)


def build(transformers=4, crop=8, **fields):
    config = PartsConfig(transformers=transformers, crop=crop, widths=(4, 6), **fields)
    return config.build(SHAPE, 5, nnx.Rngs(0))


def test_four_windows_start_as_the_four_quarters():
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    crops, grids = nnx.jit(lambda network, images: network(images).warp)(build(), images)
    assert grids.shape == (2, 4, 8, 8, 2)
    for part, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        quarter = images[:, row : row + 8, column : column + 8]
        np.testing.assert_allclose(crops[:, part], quarter, atol=1e-5)


def test_two_windows_start_beside_each_other():
    images = jax.random.uniform(jax.random.key(0), (1, *SHAPE))
    crops, _ = nnx.jit(lambda network, images: network(images).warp)(build(transformers=2), images)
    np.testing.assert_allclose(crops[:, 0], images[:, 4:12, :8], atol=1e-5)
    np.testing.assert_allclose(crops[:, 1], images[:, 4:12, 8:], atol=1e-5)


@pytest.mark.slow
def test_training_updates_the_running_averages_and_evaluation_uses_them():
    images = jax.random.uniform(jax.random.key(0), (4, *SHAPE))
    network = build(dropout=0.0)
    training = nnx.view(network, deterministic=False, use_running_average=False)
    graph, params, rest = nnx.split(training, nnx.Param, ...)

    @jax.jit
    def step(params, rest):
        def loss_of(params):
            model = nnx.merge(graph, params, rest, copy=True)
            loss, _ = model.loss(Batch(images, jnp.arange(4)))
            return loss, nnx.split(model, nnx.Param, ...)[2]

        return jax.grad(loss_of, has_aux=True)(params)

    gradients, after = step(params, rest)
    assert np.any(gradients["localisation"]["regression"]["bias"][...])
    means = [state["trunks"][0]["blocks"][0]["first_norm"]["mean"][...] for state in (rest, after)]
    assert not np.any(means[0])
    assert np.any(means[1])
    evaluated = nnx.view(network, deterministic=True, use_running_average=True)
    np.testing.assert_allclose(
        evaluated(images).logits[:2], evaluated(images[:2]).logits, atol=1e-5
    )


def test_a_number_without_tiles_is_named():
    with pytest.raises(ValueError, match="transformers=3"):
        build(transformers=3)
