"""Networks in every mode of JAX that a user may set: strict types, 64 bits, no compilation, export.

Shapes and types are those of the trace, so what fails in a mode fails without running anything.
"""

import functools
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

import capsnet
import cnn
import equivariant
import stn
from capsnet.networks.heads import CapsuleHead
from capsnet.networks.trunks import SabourTrunk
from capsnet.routing import (
    DynamicRouting,
    ExpectationMaximisationRouting,
    UniformRouting,
    VariationalBayesRouting,
)
from cnn.convolution import layer_of, lowerings
from cnn.decoder import Decoder, DeconvolutionDecoder, DenseDecoder
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.networks.reconstructing import ReconstructingNetworkConfig
from cnn.networks.residual import ResidualNetworkConfig
from equivariant import CanonicalisedConfig, LearntOrientation, PolarNetworkConfig
from stn.networks.birds import PartsConfig
from stn.networks.colocalisation import CoLocaliserConfig
from stn.networks.house_numbers import HouseNumberConfig
from stn.networks.mnist import TRANSFORMS, TransformerNetworkConfig
from stn.networks.volumes import VolumeNetworkConfig

PLAIN = cnn.ConvolutionalNetworkConfig((3, 3), 3, "SAME", ("max2", "average2"), (4,))
SMALL: Decoder = DenseDecoder((4,))


def capsules(decoder=SMALL, **fields):
    return capsnet.CapsNetConfig(4, 3, 3, 2, class_dim=2, decoder=decoder, **fields)


# Each with the shape of its images.
NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "capsnet": (capsules(routing=DynamicRouting(2)), (9, 9, 1)),
    "capsnet, sabour_code": (
        capsules(
            class_bias=True,
            routing=DynamicRouting(leaky=True),
            decoder=DeconvolutionDecoder((3, 2)),
            initializers="sabour_code",
            dtype="bfloat16",
        ),
        (12, 12, 1),
    ),
    "efficient capsnet": (
        capsnet.EfficientCapsNetConfig((3, 4), (3, 3), (1, 2), 2, 2, decoder=SMALL),
        (9, 9, 1),
    ),
    "self-routing": (
        capsnet.SelfRoutingCapsNetConfig((3, 4), (1, 2), types=4, pose_dim=8),
        (5, 6, 1),
    ),
    "inverted attention": (
        capsnet.AttentionCapsNetConfig((2, 3), (1, 1), 2, 2, (1,), (3,)),
        (6, 6, 1),
    ),
    "matrix capsules": (
        capsnet.MatrixCapsNetConfig(3, 2, (2,), routing=ExpectationMaximisationRouting(2)),
        (13, 13, 1),
    ),
    "trunk and head": (
        capsnet.TrunkAndHeadConfig(SabourTrunk(2, 2, 3, 3), CapsuleHead(UniformRouting(), 2)),
        (9, 9, 1),
    ),
    # Wide, for its priors leave little of images to the few small votes of a narrow one.
    "variational capsules": (
        capsnet.VariationalCapsNetConfig(
            4096, 2, (2,), routing=VariationalBayesRouting(2, batch_norm=True)
        ),
        (9, 9, 1),
    ),
    "cnn": (PLAIN, (12, 12, 1)),
    "bag of parts": (BagOfPartsConfig((3,)), (12, 12, 1)),
    "pooling": (PoolingNetworkConfig(channels=2, layers=3), (12, 12, 1)),
    "aps, dense": (PoolingNetworkConfig("aps", 1, 2, 2, head="dense", dense=3), (9, 9, 1)),
    "lps": (PoolingNetworkConfig("lps", 1, 2, 2, head="dense", dense=3), (9, 9, 1)),
    "reconstructing": (
        ReconstructingNetworkConfig(PLAIN, class_dim=2, decoder=SMALL),
        (12, 12, 1),
    ),
    "residual": (ResidualNetworkConfig((1, 1), 900), (9, 9, 1)),
    "compact transformer": (CompactTransformerConfig((2,), 1, parameters=1000), (9, 9, 1)),
    "group network": (equivariant.GroupNetworkConfig("p4", channels=4), (28, 28, 1)),
    "penalised": (
        equivariant.PenalisedConfig(PLAIN, equivariant.TangentPenalty()),
        (12, 12, 1),
    ),
    "canonicalised": (
        CanonicalisedConfig(PLAIN, LearntOrientation(4, 2, 2, 3, 3)),
        (12, 12, 1),
    ),
    "polar": (PolarNetworkConfig((3, 2), (1, 2), 2), (8, 8, 1)),
    "st_cnn": (TransformerNetworkConfig(parameters=20_000, coordinates=True), (28, 28, 1)),
    "st_fcn, tps": (
        TransformerNetworkConfig(
            "fcn",
            "tps",
            transformers=2,
            pooling=True,
            parameters=12_000,
            identity_penalty=0.1,
            outside_penalty=0.1,
            collapse_penalty=0.1,
        ),
        (8, 8, 1),
    ),
    "st_fcn, projective, iterated": (
        TransformerNetworkConfig("fcn", "projective", steps=2, parameters=12_000),
        (8, 8, 1),
    ),
    "colocaliser": (CoLocaliserConfig(window=21, width=2), (28, 28, 1)),
    "parts": (PartsConfig(2, crop=4, widths=(3,)), (8, 8, 1)),
    "house numbers": (
        HouseNumberConfig("single", 2, (3, 3), ("max2", "none"), (4,)),
        (8, 8, 1),
    ),
    "volumes": (VolumeNetworkConfig(21, 4, 2), (8, 8, 8, 1)),
}
# One of each family; the custom gradients of routing, convolution and sampling are among them.
EXPORTED = (
    *("capsnet", "capsnet, sabour_code", "efficient capsnet", "self-routing", "matrix capsules"),
    *("variational capsules", "inverted attention", "trunk and head", "cnn", "pooling"),
    *("reconstructing", "st_cnn", "st_fcn, tps", "house numbers", "volumes"),
)


def by_name(names=NETWORKS):
    return pytest.mark.parametrize("name", names)


def filled(abstract, random):
    """Random values near those that bias and scale start with; or a key, or zeros for counts."""
    if jnp.issubdtype(abstract.dtype, jax.dtypes.prng_key):
        return jax.random.key(0)
    if not jnp.issubdtype(abstract.dtype, jnp.floating):
        return jnp.zeros(abstract.shape, abstract.dtype)
    if len(abstract.shape) > 1:
        return jnp.asarray(random.normal(0.0, 0.1, abstract.shape), abstract.dtype)
    # Positive, as variances have to be.
    return jnp.asarray(random.uniform(0.1, 0.4, abstract.shape), abstract.dtype)


@functools.cache
def make(name):
    """Functions of parameters: logits of images, and the gradient of the loss of a batch."""
    config, shape = NETWORKS[name]
    # Initializers would be many programs to compile; any values show whether two programs agree.
    abstract = nnx.eval_shape(lambda: config.build(shape, 10, nnx.Rngs(0)))
    graph, parameters, rest = nnx.split(abstract, nnx.Param, ...)
    random = np.random.default_rng(1)
    parameters, rest = jax.tree.map(lambda leaf: filled(leaf, random), (parameters, rest))

    def model(parameters):
        return nnx.merge(graph, parameters, rest, copy=True)

    def logits(images):
        evaluated = nnx.view(
            model(parameters),
            deterministic=True,
            use_running_average=True,
            raise_if_not_found=False,
        )
        return evaluated(images).logits

    def gradient(images, labels):
        batch = types.SimpleNamespace(
            images=images,
            labels=labels,
            partners=images,
            digits=images[:, :21, :21],
            digit_labels=labels,
            windows=jnp.full((images.shape[0], 3), 0.5),
        )
        return jax.grad(lambda parameters: model(parameters).loss(batch)[0])(parameters)

    return logits, gradient


def batch_of(name, count):
    shape = NETWORKS[name][1]
    images = np.random.default_rng(0).uniform(size=(count, *shape)).astype(np.float32)
    return images, np.ones((count, 2) if name == "house numbers" else (count,), np.int32)


@pytest.mark.parametrize(
    ("name", "wide"), [*((name, True) for name in NETWORKS), ("capsnet", False), ("cnn", False)]
)
def test_strict_type_promotion(name, wide):
    logits, gradient = make(name)
    images, labels = batch_of(name, 2)
    with jax.numpy_dtype_promotion("strict"), jax.enable_x64(wide):
        assert jax.eval_shape(logits, images).dtype == jnp.float32
        for leaf in jax.tree.leaves(jax.eval_shape(gradient, images, labels)):
            assert leaf.dtype == jnp.float32


@by_name()
def test_one_program_serves_every_batch(name):
    """That it computes the same is compared here for networks that no test exports."""
    logits, gradient = make(name)
    (batch,) = export.symbolic_shape("b")
    images, labels = batch_of(name, 2)
    images = jax.ShapeDtypeStruct((batch, *images.shape[1:]), jnp.float32)
    labels = jax.ShapeDtypeStruct((batch, *labels.shape[1:]), jnp.int32)
    jax.eval_shape(gradient, images, labels)
    if name in EXPORTED:
        assert jax.eval_shape(logits, images).shape[0] == batch
        return
    served = export.export(jax.jit(logits))(images)
    images, _ = batch_of(name, 7)
    direct, found = jax.jit(lambda images: (logits(images), served.call(images)))(images)
    assert np.ptp(direct, axis=0).max() > 1e-4  # the images differ, and are seen
    np.testing.assert_allclose(found, direct, atol=1e-5)


def test_the_program_of_every_batch_takes_the_lowering_of_a_typical_one(monkeypatch):
    monkeypatch.setattr(lowerings, "TYPICAL_BATCH", 77)
    images = jax.ShapeDtypeStruct((*export.symbolic_shape("b"), 20, 20, 64), jnp.float32)
    kernel = jax.ShapeDtypeStruct((9, 9, 64, 64), jnp.float32)

    def seen(images, kernel):
        batches.append(layer_of(images, kernel, (2, 2), "VALID").batch)
        return cnn.convolve(images, kernel, strides=(2, 2))

    batches = []
    export.export(jax.jit(seen))(images, kernel)
    assert batches == [77]


def test_nothing_need_be_compiled():
    def loss(images, kernel):
        features = cnn.convolve(images, kernel)
        return jnp.sum(capsnet.routing.dynamic_routing(features, iterations=2).poses)

    arrays = jnp.ones((1, 3, 3, 1)), jnp.ones((2, 2, 1, 2))
    gradient = jax.grad(loss, (0, 1))
    expected = jax.jit(gradient)(*arrays)
    with jax.disable_jit():
        found = gradient(*arrays)
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, atol=1e-5), found, expected)


@pytest.mark.parametrize("promotion", ["standard", "strict"])
@pytest.mark.parametrize(
    ("image_type", "grid_type"),
    [
        ("float32", "float64"),
        ("float64", "float32"),
        ("bfloat16", "float32"),
        ("int32", "bfloat16"),
    ],
)
def test_sampling_mixes_types(image_type, grid_type, promotion):
    with jax.enable_x64(True), jax.numpy_dtype_promotion(promotion):
        images, grid = jnp.ones((2, 5, 5, 1), image_type), jnp.zeros((2, 3, 4, 2), grid_type)
        expected = jnp.float32 if image_type == "int32" else images.dtype
        # Each with every type. Paddings change coordinates and methods read at them, so that a
        # padding's types and a method's do not depend on each other.
        for method, padding in (
            ("nearest", "zeros"),
            ("bilinear", "border"),
            ("bicubic", "reflection"),
        ):

            def read(grid, method=method, padding=padding):
                return stn.sample(images, grid, method=method, padding=padding)

            value, _ = jax.eval_shape(lambda grid: jax.jvp(read, (grid,), (grid,)), grid)
            assert value.dtype == expected
        jax.eval_shape(lambda: stn.sample_mipmapped(images, grid, levels=2))
        jax.eval_shape(lambda: stn.sample_supersampled(images, grid, factor=2))
        jax.eval_shape(lambda: stn.collapse_penalty(grid))
        jax.eval_shape(lambda: stn.warp_statistics(grid))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_mix_types(name):
    transform: Any = TRANSFORMS[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        for one in ("float32", "float64", "bfloat16"):
            for other in ("float32", "float64", "bfloat16"):
                theta = jnp.ones((2, transform.num_parameters), one)
                points = jnp.ones((2, 3, 2), other)
                jax.eval_shape(lambda theta: transform.grid(theta, (3, 4)), theta)
                jax.eval_shape(transform.apply, theta, points)
                if hasattr(transform, "compose"):
                    jax.eval_shape(transform.compose, theta, theta.astype(other))


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_sampling_is_the_same_with_64_bits(method):
    images = np.random.default_rng(0).uniform(size=(2, 5, 5, 1)).astype(np.float32)
    grid = np.random.default_rng(1).uniform(-1.2, 1.2, (2, 3, 4, 2)).astype(np.float32)
    expected = stn.sample(images, grid, method=method)
    with jax.enable_x64(True):
        np.testing.assert_allclose(stn.sample(images, grid, method=method), expected, atol=1e-6)
