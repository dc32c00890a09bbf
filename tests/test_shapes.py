"""Shapes that would fit by broadcasting, and arguments that one lowering would let pass."""

import functools
import types

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx

import capsnet
import cnn
import stn
from capsnet.votes import make_votes
from cnn.convolution import LOWERINGS
from cnn.decoder import DenseDecoder
from cnn.downsampling import downsample
from cnn.losses import accuracy
from stn.networks.colocalisation import triplet_hinge
from stn.networks.house_numbers import HouseNumberConfig

LABELS = np.arange(10)
LENGTHS = jnp.full((10, 10), 0.4)
IMAGES = jnp.ones((2, 8, 8, 3))
GRID = jnp.zeros((2, 4, 4, 2))


@pytest.fixture(autouse=True)
def signatures_as_for_users(monkeypatch):
    """Shapes in signatures are checked in tests only, and would refuse some of these first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_margin_loss_by_hand():
    # One present class at .4 costs .25, nine absent ones .5 * .09 each.
    for one_hot in (jnp.eye(10), np.eye(10), np.eye(10, dtype=np.int64)):
        losses = capsnet.losses.margin_loss(LENGTHS, one_hot)
        np.testing.assert_allclose(losses, np.full(10, 0.25 + 9 * 0.045), rtol=1e-6)


MISFITS = {
    "labels for one-hot rows": (
        lambda: capsnet.losses.margin_loss(LENGTHS, LABELS),
        r"one_hot of shape \(10,\)",
    ),
    "one row for all images": (
        lambda: capsnet.losses.margin_loss(LENGTHS, jnp.eye(10)[:1]),
        "one_hot of shape",
    ),
    "one-hot rows of a single column": (
        lambda: capsnet.losses.margin_loss(LENGTHS, jnp.ones((10, 1))),
        "one_hot of shape",
    ),
    "images of one channel": (
        lambda: capsnet.losses.reconstruction_loss(IMAGES, IMAGES[..., :1]),
        "images of shape",
    ),
    "one image for all": (
        lambda: capsnet.losses.reconstruction_loss(IMAGES, IMAGES[:1]),
        "images of shape",
    ),
    "a bias of one output capsule": (
        lambda: capsnet.routing.dynamic_routing(jnp.ones((2, 4, 3, 2)), bias=jnp.ones((1, 2))),
        r"bias of shape \(1, 2\)",
    ),
    "a bias of components only": (
        lambda: capsnet.routing.dynamic_routing(jnp.ones((2, 4, 3, 2)), bias=jnp.ones(2)),
        "bias of shape",
    ),
    "matrices of other capsules": (
        lambda: make_votes(jnp.ones((2, 4, 2)), jnp.ones((3, 2, 3, 2))),
        "kernel of shape",
    ),
    "labels of a column": (
        lambda: cnn.classification_loss(LENGTHS, LABELS[:, None]),
        r"labels of shape \(10, 1\)",
    ),
    "one label for all": (
        lambda: cnn.classification_loss(LENGTHS, LABELS[:1]),
        "labels of shape",
    ),
    "accuracy of one label": (lambda: accuracy(LENGTHS, LABELS[:1]), "labels of shape"),
    "a mask of one class": (
        lambda: DenseDecoder().build(3, 2, (2, 2, 1), rngs=nnx.Rngs(0))(
            jnp.ones((2, 3, 2)), jnp.ones((2, 1))
        ),
        r"mask of shape \(2, 1\)",
    ),
    "pooling without channels": (lambda: cnn.pool(jnp.ones((2, 8, 8)), "max2"), "images of shape"),
    "no pooling without channels": (
        lambda: cnn.pool(jnp.ones((2, 8, 8)), "none"),
        "images of shape",
    ),
    "downsampling without channels": (
        lambda: downsample(jnp.ones((2, 8, 8)), "avg2"),
        "images of shape",
    ),
    "triplets of one partner": (
        lambda: triplet_hinge(jnp.ones((2, 3)), jnp.ones((1, 3)), jnp.ones((2, 3)), margin=1.0),
        "partners of shape",
    ),
    "two maps in one row": (
        lambda: stn.transforms.Affine().grid(jnp.ones((1, 12)), (3, 3)),
        r"theta of shape \(1, 12\)",
    ),
    "one map for all points": (
        lambda: stn.transforms.Affine().apply(jnp.ones((1, 6)), jnp.ones((2, 3, 2))),
        "points of shape",
    ),
    "one map composed with two": (
        lambda: stn.transforms.Translation().compose(jnp.ones((1, 2)), jnp.ones((2, 2))),
        "theta of shapes",
    ),
    "a displacement field of another size": (
        lambda: stn.transforms.DisplacementField((2, 2)).grid(jnp.ones((1, 16)), (3, 3)),
        "theta of shape",
    ),
    "one image for two grids": (lambda: stn.sample(IMAGES[:1], GRID), "do not fit together"),
    "a penalty of points": (lambda: stn.identity_penalty(jnp.ones((2, 4, 2))), "grid of shape"),
    "a penalty of another axis": (
        lambda: stn.outside_penalty(jnp.ones((2, 4, 4, 3))),
        "grid of shape",
    ),
    "statistics of volumes": (
        lambda: stn.warp_statistics(jnp.ones((2, 4, 4, 3))),
        "grid of shape",
    ),
    "the size of a volume": (
        lambda: stn.pixel_coordinates(jnp.ones((2, 3)), (4, 4, 4)),
        "points of shape",
    ),
    "a grid of no rows": (lambda: stn.identity_grid((0, 4)), "size="),
    "a grid of half rows": (
        lambda: stn.transforms.Affine().grid(jnp.ones((1, 6)), (-1, 4)),
        "size=",
    ),
    "no tiles": (lambda: stn.tiled_poses(0, 2), "rows=0"),
    "labels of other digits": (
        lambda: (
            HouseNumberConfig("none", 2, (3,), ("max2",), (4,))
            .build((4, 4, 1), 10, nnx.Rngs(0))
            .loss(types.SimpleNamespace(images=jnp.ones((2, 4, 4, 1)), labels=jnp.zeros(4, int)))
        ),
        "labels of shape",
    ),
}


@pytest.mark.parametrize(("call", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_shapes_that_do_not_fit_are_named_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize(
    ("images", "kernel", "options", "message"),
    [
        ((8, 28, 28, 3), (9, 9, 1, 64), {}, "images of 3 channels do not fit"),
        ((8, 28, 28, 1), (9, 9, 3, 64), {}, "images of 1 channels do not fit"),
        ((8, 28, 28), (9, 9, 1, 64), {}, "images of shape"),
        ((8, 28, 28, 1), (9, 9, 64), {}, "kernel of shape"),
        ((8, 28, 28, 1), (0, 9, 1, 64), {}, "at least 1"),
        ((8, 28, 28, 1), (9, 9, 1, 0), {}, "at least 1"),
        ((8, 0, 28, 1), (9, 9, 1, 4), {"padding": "SAME"}, "at least 1"),
        ((8, 28, 28, 1), (9, 9, 1, 4), {"strides": (0, 1)}, "strides="),
        ((8, 28, 28, 1), (9, 9, 1, 4), {"strides": (1, -2)}, "strides="),
        ((8, 28, 28, 1), (9, 30, 1, 4), {}, "9x30 kernel does not fit into a 28x28 image"),
        ((8, 28, 28, 1), (9, 9, 1, 4), {"padding": "same"}, "padding='same'"),
    ],
    ids=str,
)
def test_every_lowering_of_a_convolution_refuses_the_same(
    images, kernel, options, message, lowering
):
    convolve = functools.partial(cnn.convolve, lowering=lowering, **options)
    with pytest.raises(ValueError, match=message):
        convolve(np.ones(images, np.float32), np.ones(kernel, np.float32))


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_a_kernel_larger_than_the_image_fits_with_padding(lowering):
    found = cnn.convolve(
        np.ones((1, 2, 3, 1)), np.ones((5, 5, 1, 1)), padding="SAME", lowering=lowering
    )
    np.testing.assert_allclose(found, np.full((1, 2, 3, 1), 6.0), rtol=1e-5)


@pytest.mark.parametrize("lowering", ["auto", "gather", "packed", "matmul"])
def test_every_lowering_of_the_sampler_refuses_the_same(lowering):
    sample = functools.partial(stn.sample, lowering=lowering)
    for images, grid in ((IMAGES[:1], GRID), (IMAGES, GRID[..., :1]), (IMAGES[:, :0], GRID)):
        with pytest.raises(ValueError, match=r"do not fit together|have no pixel"):
            sample(images, grid)


def test_networks_refuse_images_of_another_shape_that_has_as_many_pixels():
    localisation = stn.DenseLocalisation((4, 9, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"takes \[batch, 4, 9, 1\]"):
        localisation(jnp.ones((2, 6, 6, 1)))
    network = cnn.ConvolutionalNetworkConfig((3,), 3, "SAME", ("none",), (4,)).build(
        (4, 9, 1), 10, nnx.Rngs(0)
    )
    with pytest.raises(ValueError, match=r"takes \[batch, 4, 9, 1\]"):
        network(jnp.ones((2, 6, 6, 1)))


def test_a_network_with_a_weight_that_is_not_a_number_has_no_loss():
    transformer = stn.SpatialTransformer(
        stn.DenseLocalisation((8, 8, 3), rngs=nnx.Rngs(0)),
        stn.transforms.Affine(),
        rngs=nnx.Rngs(0),
    )
    transformer.regression.bias[...] = transformer.regression.bias[...].at[2].set(jnp.nan)
    assert np.all(np.isnan(transformer(IMAGES).images))


def test_accuracy_of_what_is_not_a_number():
    logits = jnp.array([[0.0, 1.0], [jnp.nan, 0.0]])
    assert np.isnan(accuracy(logits, np.array([1, 0])))
    assert float(accuracy(logits[:1], np.array([1]))) == 1.0


@pytest.mark.parametrize("lowering", ["gather", "packed", "matmul"])
def test_what_is_not_finite_spoils_no_other_image(lowering):
    images = np.ones((2, 8, 8, 1), np.float32)
    images[0, 3, 3] = np.nan
    found = np.asarray(stn.sample(images, jnp.full((2, 1, 4, 2), 0.7), lowering=lowering))
    np.testing.assert_allclose(found[1], 1.0, rtol=1e-6)
    # Points that do not read the pixel keep their values, but for products of matrices.
    assert np.isnan(found[0]).all() == (lowering == "matmul")
