import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnn import Convolution
from stn import DenseLocalisation, SharedLayersTransformer, SpatialTransformer, transforms

SHAPE = (9, 8, 2)
IMAGES = jax.random.uniform(jax.random.key(0), (3, *SHAPE))


def build(kernel_scale=0.0, **options):
    """Two convolutions without padding make 5x4 maps of 6 channels out of 9x8 pixels."""
    rngs = nnx.Rngs(0)
    layers = nnx.Sequential(
        Convolution(2, 6, 3, rngs=rngs), nnx.relu, Convolution(6, 6, 3, rngs=rngs)
    )
    localisation = DenseLocalisation((5, 4, 6), widths=(7,), rngs=rngs)
    transformer = SpatialTransformer(localisation, transforms.Affine(), rngs=rngs, **options)
    noise = jax.random.normal(jax.random.key(1), (7, 6))
    transformer.regression.kernel[...] = kernel_scale * noise
    return SharedLayersTransformer(layers, transformer)


@nnx.jit
def apply(module):
    return module(IMAGES)


def test_it_starts_as_the_layers_alone():
    module = build()
    out = apply(module)
    assert out.features.shape == (3, 5, 4, 6)
    np.testing.assert_allclose(out.features, module.layers(IMAGES), atol=1e-4)
    np.testing.assert_allclose(out.images, IMAGES, atol=1e-5)


def test_features_steer_a_warp_of_the_input():
    module = build(kernel_scale=0.1)
    out = apply(module)
    theta = module.transformer.predict(module.layers(IMAGES))
    np.testing.assert_allclose(out.theta, theta, atol=1e-5)
    assert np.abs(theta - transforms.Affine().identity).max() > 0.05
    warped = module.transformer.warp(IMAGES, theta)
    np.testing.assert_allclose(out.images, warped.images, atol=1e-4)
    np.testing.assert_allclose(out.grid, warped.grid, atol=1e-5)
    np.testing.assert_allclose(out.features, module.layers(warped.images), atol=1e-3)


def test_the_layers_are_held_once_and_learn_from_both_passes():
    module = build(kernel_scale=0.1)
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    convolutions = 2 * 6 * 9 + 6 + 6 * 6 * 9 + 6
    assert sum(leaf.size for leaf in leaves) == convolutions + (120 * 7 + 7) + (7 * 6 + 6)

    @nnx.jit
    def gradients(module, fixed_theta):
        def loss(module):
            return jnp.sum(module(IMAGES).features ** 2)

        def loss_of_second_pass(module):
            warped = module.transformer.warp(IMAGES, fixed_theta)
            return jnp.sum(module.layers(warped.images) ** 2)

        return nnx.grad(loss)(module), nnx.grad(loss_of_second_pass)(module)

    both, second = gradients(module, apply(module).theta)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(both))
    assert np.abs(both["transformer"]["regression"]["kernel"][...]).max() > 0
    first_layer = [gradient["layers"]["layers"][0]["kernel"][...] for gradient in (both, second)]
    assert np.abs(first_layer[1]).max() > 0
    assert np.abs(first_layer[0] - first_layer[1]).max() > 1e-3 * np.abs(first_layer[0]).max()


def test_the_layers_may_see_a_smaller_warped_image():
    out = apply(build(output_size=(7, 6)))
    assert out.images.shape == (3, 7, 6, 2)
    assert out.features.shape == (3, 3, 2, 6)
