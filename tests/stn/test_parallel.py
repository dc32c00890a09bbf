import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from stn import (
    DenseLocalisation,
    ParallelTransformers,
    SpatialTransformer,
    tiled_poses,
    transforms,
)

SHAPE = (6, 12, 2)
AFFINE = transforms.Affine()


def transformer(rngs, transform=AFFINE, **options):
    localisation = DenseLocalisation(SHAPE, widths=(4,), rngs=rngs)
    return SpatialTransformer(localisation, transform, rngs=rngs, **options)


@nnx.jit
def apply(module, images):
    return module(images)


def test_every_transformer_warps_all_channels_on_its_own():
    rngs = nnx.Rngs(0)
    pair = ParallelTransformers(
        [
            transformer(rngs, transforms.Attention(), initial=[0.5, 0.25, 0.5]),
            transformer(rngs, transforms.Translation(), initial=[-1.0, 0.0]),
        ]
    )
    images = jax.random.uniform(jax.random.key(0), (3, *SHAPE))
    out = apply(pair, images)
    assert out.images.shape == (3, 6, 12, 4)
    # A shift of -1 is half the width: the left half reads zeros, the right half the left.
    np.testing.assert_allclose(out.images[:, :, :6, 2:], 0, atol=1e-6)
    np.testing.assert_allclose(out.images[:, :, 6:, 2:], images[:, :, :6], atol=1e-5)
    for part, alone in enumerate(pair.transformers):
        expected = apply(alone, images)
        np.testing.assert_allclose(
            out.images[..., 2 * part : 2 * part + 2], expected.images, atol=1e-6
        )
        np.testing.assert_allclose(out.each[part].theta, expected.theta)
        np.testing.assert_allclose(out.each[part].grid, expected.grid, atol=1e-6)


def test_one_transformers_loss_moves_no_other():
    rngs = nnx.Rngs(0)
    pair = ParallelTransformers([transformer(rngs), transformer(rngs)])
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    gradients = nnx.jit(
        nnx.grad(lambda pair, images: jnp.sum(pair(images).images[..., :2] * images[..., :1] ** 2))
    )(pair, images)
    moved, still = gradients["transformers"][0], gradients["transformers"][1]
    assert np.abs(moved["regression"]["kernel"][...]).max() > 0
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(still))


def test_transformers_of_the_same_start_separate():
    rngs = nnx.Rngs(0)
    pair = ParallelTransformers([transformer(rngs), transformer(rngs)])
    images = jax.random.uniform(jax.random.key(0), (2, *SHAPE))
    gradients = nnx.jit(
        nnx.grad(lambda pair, images: jnp.sum(pair(images).images * jnp.tile(images[:1], 2)))
    )(pair, images)
    first, second = (gradients["transformers"][index]["regression"] for index in (0, 1))
    np.testing.assert_allclose(first["bias"][...], second["bias"][...], rtol=1e-5)
    assert np.abs(first["kernel"][...] - second["kernel"][...]).max() > 1e-3


def test_tiles_cut_the_image_into_its_pieces():
    rngs = nnx.Rngs(0)
    tiles = ParallelTransformers(
        transformer(rngs, initial=pose, output_size=(3, 4)) for pose in tiled_poses(2, 3)
    )
    images = jax.random.uniform(jax.random.key(0), (1, *SHAPE))
    out = apply(tiles, images)
    assert out.images.shape == (1, 3, 4, 12)
    for tile in range(6):
        top, left = 3 * (tile // 3), 4 * (tile % 3)
        np.testing.assert_allclose(
            out.images[..., 2 * tile : 2 * tile + 2],
            images[:, top : top + 3, left : left + 4],
            atol=1e-5,
        )


def test_square_tiles_are_those_of_attention():
    poses = tiled_poses(2, 2)
    attention = transforms.Attention().matrix(jnp.asarray(poses[:, [0, 2, 5]]))
    np.testing.assert_allclose(attention.reshape(4, 6), poses, atol=1e-7)
    np.testing.assert_allclose(tiled_poses(1, 1)[0], transforms.Affine().identity)


def test_sizes_that_differ_are_an_error():
    rngs = nnx.Rngs(0)
    with pytest.raises(ValueError, match="one size"):
        ParallelTransformers([transformer(rngs), transformer(rngs, output_size=(3, 4))])
    with pytest.raises(ValueError, match="at least one"):
        ParallelTransformers([])
