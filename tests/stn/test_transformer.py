import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from stn import (
    ConvolutionalLocalisation,
    DenseLocalisation,
    SpatialTransformer,
    sample,
    transforms,
)


def count(module):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


@pytest.mark.parametrize(
    ("localisation", "side", "expected"),
    [
        (ConvolutionalLocalisation, 28, 11_086),
        (ConvolutionalLocalisation, 42, 17_086),
        (ConvolutionalLocalisation, 60, 43_086),
        (DenseLocalisation, 28, 27_430),
        (DenseLocalisation, 42, 58_790),
    ],
)
def test_parameter_counts_of_the_papers_affine_transformers(localisation, side, expected):
    def build():
        rngs = nnx.Rngs(0)
        return SpatialTransformer(
            localisation((side, side, 1), rngs=rngs), transforms.Affine(), rngs=rngs
        )

    assert count(nnx.eval_shape(build)) == expected


def build(transform, shape=(32, 28, 2), **options):
    rngs = nnx.Rngs(0)
    localisation = ConvolutionalLocalisation(shape, coordinates=True, rngs=rngs)
    return SpatialTransformer(localisation, transform, rngs=rngs, **options)


# The layer hands the convention on, which the transforms themselves are tested with.
@pytest.mark.parametrize(
    ("transform", "corners"),
    [
        (transforms.Affine(), False),
        (transforms.Affine(), True),
        (transforms.Projective(), False),
        (transforms.ThinPlateSpline(), True),
        (transforms.BoundedAffine(largest_stretch=1.5, largest_shear=0.3), False),
    ],
    ids=repr,
)
def test_it_starts_as_the_identity_and_can_leave_it(transform, corners):
    layer = build(transform, align_corners=corners)
    images = jax.random.uniform(jax.random.key(0), (3, 32, 28, 2))
    target = jax.random.uniform(jax.random.key(1), images.shape)

    def loss(layer):
        out = layer(images)
        return jnp.mean((out.images - target) ** 2), out

    gradients, out = nnx.jit(nnx.grad(loss, has_aux=True))(layer)
    np.testing.assert_allclose(out.images, images, atol=1e-5)
    np.testing.assert_allclose(out.theta, np.tile(transform.identity, (3, 1)), atol=1e-6)
    for leaf in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(leaf))
    # The localisation network itself moves only once the regression's weights have left zero.
    regression = gradients["regression"]
    assert np.abs(regression["kernel"][...]).max() > 0
    assert np.all(np.abs(regression["bias"][...]) > 0)


def test_the_output_may_have_another_size():
    layer = build(transforms.Attention(), output_size=(10, 12))
    out = layer(jnp.ones((2, 32, 28, 2)))
    assert out.images.shape == (2, 10, 12, 2)
    assert out.grid.shape == (2, 10, 12, 2)


def test_it_may_start_at_another_pose():
    pose = [0.5, 0.25, -0.25]
    layer = build(transforms.Attention(), initial=pose)
    np.testing.assert_array_equal(layer.regression.bias[...], pose)
    theta = nnx.jit(SpatialTransformer.predict)(layer, jnp.ones((2, 32, 28, 2)))
    np.testing.assert_allclose(theta, [pose, pose])
    with pytest.raises(ValueError, match=r"shape \(2,\).*3 parameters"):
        build(transforms.Attention(), initial=[0.5, 0.25])


def test_gradients_to_feature_maps_are_those_of_finite_differences():
    # Eleven channels, as within a network; both paths count, the samples and the prediction.
    shape = (6, 7, 11)
    rngs = nnx.Rngs(0)
    layer = SpatialTransformer(
        DenseLocalisation(shape, widths=(8,), rngs=rngs),
        transforms.Similarity(),
        initial=[0.9, 0.2, 0.13, -0.11],
        rngs=rngs,
    )
    layer.regression.kernel[...] = 0.02 * jax.random.normal(jax.random.key(0), (8, 4))
    features = jax.random.normal(jax.random.key(1), (2, *shape))
    target = jax.random.normal(jax.random.key(2), (2, *shape))

    @jax.jit
    def loss(features):
        return jnp.sum(layer(features).images * target)

    @jax.jit
    def loss_of_samples(features):
        theta = jax.lax.stop_gradient(layer.predict(features))
        return jnp.sum(layer.warp(features, theta).images * target)

    gradient = jax.grad(loss)(features)
    assert np.abs(gradient - jax.grad(loss_of_samples)(features)).max() > 0.1
    for seed in range(4):
        direction = jax.random.normal(jax.random.key(10 + seed), features.shape)
        step = 5e-4 * direction
        slope = (loss(features + step) - loss(features - step)) / 1e-3
        np.testing.assert_allclose(jnp.sum(gradient * direction), slope, rtol=0.02, atol=0.05)


def test_a_smaller_output_may_be_averaged():
    layer = build(transforms.Affine(), output_size=(8, 7), supersampling=4)
    images = jax.random.uniform(jax.random.key(0), (2, 32, 28, 2))
    blocks = images.reshape(2, 8, 4, 7, 4, 2).mean((2, 4))
    np.testing.assert_allclose(layer(images).images, blocks, atol=1e-5)


def test_half_precision_images_keep_float32_parameters_and_grids():
    out = build(transforms.Affine())(jnp.ones((1, 32, 28, 2), jnp.bfloat16))
    assert out.images.dtype == jnp.bfloat16
    assert out.theta.dtype == out.grid.dtype == jnp.float32


def test_coordinates_tell_positions_apart():
    shape = (28, 28, 1)
    blank = jnp.zeros((1, *shape))
    plain = ConvolutionalLocalisation(shape, rngs=nnx.Rngs(0))
    located = ConvolutionalLocalisation(shape, coordinates=True, rngs=nnx.Rngs(0))
    assert np.ptp(plain._convolve(blank)) == 0
    assert np.ptp(located._convolve(blank)) > 0.01


def test_images_that_are_too_small_are_an_error():
    with pytest.raises(ValueError, match=r"27x28 pixels.*smallest side that fits is 28"):
        ConvolutionalLocalisation((27, 28, 1), rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_it_learns_to_undo_shifts():
    # A blob anywhere on the canvas is to be brought to its middle.
    points = np.stack(np.meshgrid(*[np.arange(28)] * 2, indexing="ij"), axis=-1)

    def blobs(key):
        centres = jax.random.uniform(key, (64, 1, 1, 2), minval=9.0, maxval=18.0)
        return jnp.exp(-jnp.sum((points - centres) ** 2, axis=-1) / 8.0)[..., None], centres

    middle = jnp.exp(-jnp.sum((points - 13.5) ** 2, axis=-1) / 8.0)[..., None]
    rngs = nnx.Rngs(0)
    layer = SpatialTransformer(
        ConvolutionalLocalisation((28, 28, 1), rngs=rngs), transforms.Translation(), rngs=rngs
    )
    optimizer = nnx.Optimizer(layer, optax.adam(3e-3), wrt=nnx.Param)

    @nnx.jit
    def step(layer, optimizer, key):
        images, _ = blobs(key)
        gradients = nnx.grad(lambda layer: jnp.mean((layer(images).images - middle) ** 2))(layer)
        optimizer.update(layer, gradients)

    for index in range(300):
        step(layer, optimizer, jax.random.key(index))
    images, centres = blobs(jax.random.key(1000))
    # The map goes from output to input, so the shift points at the blob: (x, y) in half-widths.
    truth = (np.asarray(centres[:, 0, 0, ::-1]) - 13.5) / 14.0
    assert np.abs(np.asarray(layer(images).theta) - truth).mean() < 0.05
    exact = sample(images, transforms.Translation().grid(jnp.asarray(truth), (28, 28)))
    assert float(jnp.abs(exact - middle).max()) < 0.1
