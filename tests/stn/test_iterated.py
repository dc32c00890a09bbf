import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from stn import DenseLocalisation, IteratedTransformer, identity_grid, sample, transforms

SHAPE = (9, 8, 2)
IMAGES = jax.random.uniform(jax.random.key(0), (2, *SHAPE))


def build(transform, steps, shape=SHAPE, **options):
    rngs = nnx.Rngs(0)
    localisation = DenseLocalisation(shape, widths=(5,), rngs=rngs)
    return IteratedTransformer(localisation, transform, steps=steps, rngs=rngs, **options)


def always(update, transform, steps, **options):
    """A layer whose every step predicts the same update."""
    layer = build(transform, steps, **options)
    layer.step.regression.bias[...] = jnp.asarray(update, jnp.float32)
    return layer


def apply(layer, images=IMAGES):
    return nnx.jit(lambda layer, images: layer(images))(layer, images)


class Slope(nnx.Module):
    """The steepness of a ramp along x, which tells the first step from the next."""

    num_features = 1

    def __call__(self, images):
        return images[:, 4, 4] - images[:, 4, 3]


def rotation(degrees, scale=1.0):
    angle = np.deg2rad(degrees)
    return scale * np.cos(angle), scale * np.sin(angle)


@pytest.mark.parametrize("transform", [transforms.Affine(), transforms.Projective()], ids=repr)
@pytest.mark.parametrize("corners", [False, True])
def test_it_starts_as_the_identity(transform, corners):
    out = apply(build(transform, 2, align_corners=corners))
    np.testing.assert_allclose(out.images, IMAGES, atol=1e-5)
    np.testing.assert_allclose(out.path, np.tile(transform.identity, (2, 2, 1)), atol=1e-6)


def test_equal_shifts_add_up():
    out = apply(always([0.05, -0.1], transforms.Translation(), 3))
    np.testing.assert_allclose(out.theta, [[0.15, -0.3]] * 2, atol=1e-6)
    np.testing.assert_allclose(out.path[:, 0], [[0.05, -0.1], [0.1, -0.2], [0.15, -0.3]], atol=1e-6)
    expected = np.stack([identity_grid(SHAPE[:2]) + np.array([0.15, -0.3])] * 2)
    np.testing.assert_allclose(out.grid, expected, atol=1e-5)


def test_steps_are_the_power_of_one_warp_and_one_resampling():
    a, b = rotation(10, 0.95)
    matrix = np.array([[a, -b, 0.1], [b, a, -0.05], [0, 0, 1]])
    out = apply(always([a, b, 0.1, -0.05], transforms.Similarity(), 4))
    power = np.linalg.matrix_power(matrix, 4)
    expected = identity_grid(SHAPE[:2]) @ power[:2, :2].T + power[:2, 2]
    np.testing.assert_allclose(out.grid, np.stack([expected] * 2), atol=1e-5)
    once = sample(IMAGES, jnp.asarray(np.stack([expected] * 2), jnp.float32))
    np.testing.assert_allclose(out.images, once, atol=1e-5)
    # Resampling in turn is another image, blurred and cut at the borders.
    step = transforms.Similarity().grid(jnp.asarray([[a, b, 0.1, -0.05]] * 2), SHAPE[:2])
    turns = IMAGES
    for _ in range(4):
        turns = sample(turns, step)
    assert np.abs(turns - once).max() > 0.1


def test_the_update_acts_first_and_then_the_warp_so_far():
    # The first step sees a ramp of slope 1 and halves the scale; the second sees the slope 0.5 and
    # shifts by 0.25. That is 0.125 in the input, and would be 0.25 were the shift to act last.
    attention = transforms.Attention()
    layer = IteratedTransformer(Slope(), attention, steps=2, rngs=nnx.Rngs(0))
    updates = np.array([[0.5, 0.0, 0.0], [1.0, 0.25, 0.0]])
    layer.step.regression.kernel[...] = jnp.asarray((updates[:1] - updates[1:]) / 0.5, jnp.float32)
    layer.step.regression.bias[...] = jnp.asarray(2 * updates[1] - updates[0], jnp.float32)
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None], (1, 8, 8, 1))
    out = apply(layer, ramp)
    np.testing.assert_allclose(out.path, [[[0.5, 0.0, 0.0]], [[0.5, 0.125, 0.0]]], atol=1e-5)
    # The last image is the one that the second step saw, read through its update: exactly so on
    # a ramp, where that one is still inside.
    seen = layer.step.warp(ramp, out.path[0]).images
    expected = sample(seen, attention.grid(jnp.asarray(updates[1:], jnp.float32), (8, 8)))
    np.testing.assert_allclose(out.images[:, :, :7], expected[:, :, :7], atol=1e-4)


def test_each_step_sees_the_image_as_warped_so_far():
    layer = build(transforms.Translation(), 3)
    layer.step.regression.kernel[...] = 0.05 * jax.random.normal(jax.random.key(1), (5, 2))
    out = apply(layer)
    updates = np.diff(np.concatenate([np.zeros((1, 2, 2)), out.path]), axis=0)
    assert np.abs(updates[0]).max() > 0.01
    assert np.abs(updates[1] - updates[0]).max() > 1e-3
    seen = layer.step.warp(IMAGES, out.path[0]).images
    np.testing.assert_allclose(updates[1], layer.step.predict(seen), atol=1e-5)


def test_gradients_flow_through_every_step():
    layer = build(transforms.Projective(), 2)
    layer.step.regression.kernel[...] = 0.02 * jax.random.normal(jax.random.key(1), (5, 8))
    target = jax.random.uniform(jax.random.key(2), IMAGES.shape)

    @nnx.jit
    def gradients_of(layer):
        return nnx.grad(lambda layer: jnp.mean((layer(IMAGES).images - target) ** 2))(layer)

    leaves = jax.tree.leaves(gradients_of(layer))
    assert all(np.all(np.isfinite(leaf)) and np.abs(leaf).max() > 0 for leaf in leaves)


def test_the_output_may_have_another_size():
    out = apply(
        always([0.5, 0.1, 0.0], transforms.Attention(), 2, shape=(4, 5, 2), output_size=(4, 5))
    )
    assert out.images.shape == (2, 4, 5, 2)
    np.testing.assert_allclose(out.theta, [[0.25, 0.15, 0.0]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    "transform", [transforms.ThinPlateSpline(), transforms.BoundedAffine()], ids=repr
)
def test_what_cannot_be_composed_is_an_error(transform):
    with pytest.raises(ValueError, match="no `compose`"):
        build(transform, 2)
    with pytest.raises(ValueError, match="steps=0"):
        build(transforms.Affine(), 0)
