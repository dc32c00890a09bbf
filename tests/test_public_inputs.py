"""Public functions and layers of the four model rooms, over every kind of input.

Each takes NumPy arrays, whole numbers, float64 and bfloat16 as it takes float32; gives no images
for none; keeps what is not a number, in the image where it is; and survives huge and tiny values.
"""

import functools
import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
import cnn
import equivariant
import stn
from capsnet.layers import ConvolutionalCapsules, DenseCapsules, DepthwiseCapsules, PrimaryCapsules
from capsnet.networks.heads import CapsuleHead
from capsnet.networks.trunks import SabourTrunk
from capsnet.routing import (
    Capsules,
    InvertedAttentionRouting,
    SelfRouting,
    Sizes,
    UniformRouting,
)
from capsnet.votes import make_votes
from cnn.decoder import DeconvolutionDecoder, DenseDecoder
from cnn.downsampling import KINDS, downsample
from cnn.losses import accuracy, multi_label_loss
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.multi_label import MultiLabelNetworkConfig
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.networks.reconstructing import ReconstructingNetworkConfig
from cnn.networks.residual import ResidualNetworkConfig
from cnn.output import in_mode
from cnn.polyphase import LearnablePolyphaseSampling
from equivariant import (
    CanonicalisedConfig,
    LearntOrientation,
    PolarNetworkConfig,
    centroid,
    log_polar,
    principal_axis,
    turn,
)
from equivariant.penalties import move, tangent
from stn.networks.colocalisation import triplet_hinge
from stn.networks.mnist import TRANSFORMS, TransformerNetworkConfig
from training.config_names import MODULES

RANDOM = np.random.default_rng(0)


class Case(NamedTuple):
    """A function with arguments of two images each.

    Attributes:
        call: The function.
        arguments: float32, each with a batch in front but for the `fixed` last ones.
        fixed: How many of the arguments have no batch.
        scales: Factors on the first argument that leave every result a number, if not a finite one.
    """

    call: Any
    arguments: tuple
    fixed: int = 0
    scales: tuple = (1e-30, 1e30)


def uniform(*shape):
    return RANDOM.uniform(0.1, 1.0, shape).astype(np.float32)


def grid(*size):
    return np.tile(stn.identity_grid(size).astype(np.float32), (2, *[1] * (len(size) + 1))) * 0.7


class Built:
    """A layer or network that is made where a test needs it, or else all processes would make all.

    Attributes:
        make: Makes it, outside of any trace.
        use: What is done with it and the arguments.
    """

    def __init__(self, make, use=None):
        self.make = functools.cache(make)
        self.use = use or (lambda made, *arguments: made(*arguments))

    def ready(self):
        return functools.partial(self.use, self.make())


def network(config, shape=(8, 8, 1), use=None) -> Any:
    # In one program, as every eager operation would be one of its own.
    make = nnx.jit(lambda: config.build(shape, 10, nnx.Rngs(0)))
    return Built(lambda: in_mode(make(), training=False), use)


def layer(make, use=None) -> Any:
    return Built(lambda: in_mode(nnx.jit(lambda: make(nnx.Rngs(0)))(), training=False), use)


def activations(made, images):
    return made.activations(images)


def localisation(rngs):
    return stn.DenseLocalisation((8, 8, 1), widths=(4,), rngs=rngs)


def transformer(rngs):
    return stn.SpatialTransformer(localisation(rngs), stn.transforms.Affine(), rngs=rngs)


IMAGES = uniform(2, 8, 8, 1)
LABELS = np.array([1, 2])
PAIRS = np.array([[1, 0], [2, 5]])
ONE_HOT = np.eye(10, dtype=np.float32)[LABELS]
PLAIN = cnn.ConvolutionalNetworkConfig((3,), 3, "SAME", ("max2",), (4,))
CAPSNET = capsnet.CapsNetConfig(3, 3, 2, 2, class_dim=2, decoder=DenseDecoder((4,)))
EFFICIENT = capsnet.EfficientCapsNetConfig((3, 4), (3, 3), (1, 2), 2, 2, decoder=DenseDecoder((4,)))
SIZES = Sizes(4, 2, 3, 2)


def locations(transform):
    """Parameters near the identity for two images."""
    return np.tile(transform.identity.astype(np.float32), (2, 1)) + 0.05


CASES = {
    "capsnet.squash": Case(capsnet.squash, (uniform(2, 3),)),
    "capsnet.exponential_squash": Case(capsnet.exponential_squash, (uniform(2, 3),)),
    "capsnet.length": Case(capsnet.length, (uniform(2, 3),)),
    "capsnet.margin_loss": Case(
        lambda lengths: capsnet.losses.margin_loss(lengths, ONE_HOT[: len(lengths)]),
        (uniform(2, 10),),
        scales=(1e-30,),
    ),
    "capsnet.reconstruction_loss": Case(
        capsnet.losses.reconstruction_loss, (IMAGES, uniform(2, 8, 8, 1)), scales=(1e-30,)
    ),
    "capsnet.dynamic_routing": Case(
        capsnet.routing.dynamic_routing, (uniform(2, 4, 3, 2),), scales=(1e-30,)
    ),
    "capsnet.self_attention_routing": Case(
        capsnet.routing.self_attention_routing, (uniform(2, 4, 3, 2),), scales=(1e-30,)
    ),
    "capsnet.make_votes": Case(make_votes, (uniform(2, 4, 2), uniform(4, 2, 3, 2)), fixed=1),
    "capsnet.PrimaryCapsules": Case(
        layer(lambda rngs: PrimaryCapsules(1, 2, 2, kernel_size=3, rngs=rngs)), (IMAGES,)
    ),
    "capsnet.DepthwiseCapsules": Case(
        layer(lambda rngs: DepthwiseCapsules(4, 2, (3, 3), rngs=rngs)), (uniform(2, 3, 3, 4),)
    ),
    "capsnet.DenseCapsules": Case(
        layer(lambda rngs: DenseCapsules(4, 2, 3, 2, rngs=rngs)),
        (uniform(2, 4, 2),),
        scales=(1e-30,),
    ),
    "capsnet.ConvolutionalCapsules": Case(
        layer(lambda rngs: ConvolutionalCapsules(2, 2, 3, 2, kernel_size=2, rngs=rngs)),
        (uniform(2, 3, 3, 2, 2),),
        scales=(1e-30,),
    ),
    "capsnet.SelfRouting": Case(
        layer(
            lambda rngs: SelfRouting().build(SIZES, rngs),
            lambda routing, votes, *capsules: routing(votes, Capsules(*capsules)),
        ),
        (uniform(2, 4, 3, 2), uniform(2, 4, 2), uniform(2, 4)),
        scales=(1e-30,),
    ),
    "capsnet.InvertedAttentionRouting": Case(
        layer(
            lambda rngs: InvertedAttentionRouting().build(SIZES, rngs),
            lambda routing, votes, poses: routing(votes, previous=poses),
        ),
        (uniform(2, 4, 3, 2), uniform(2, 3, 2)),
        scales=(1e-30,),
    ),
    "capsnet.SelfRoutingCapsNet": Case(
        network(capsnet.SelfRoutingCapsNetConfig((2, 3), (1, 2), 2, 2)), (IMAGES,)
    ),
    "capsnet.AttentionCapsNet": Case(
        network(capsnet.AttentionCapsNetConfig((2, 3), (1, 1), 2, 2, (1,))), (IMAGES,)
    ),
    "capsnet.CapsNet": Case(network(CAPSNET), (IMAGES,)),
    "capsnet.CapsNet.activations": Case(network(CAPSNET, use=activations), (IMAGES,)),
    "capsnet.EfficientCapsNet": Case(network(EFFICIENT), (IMAGES,), scales=(1e-30,)),
    "capsnet.EfficientCapsNet.activations": Case(network(EFFICIENT, use=activations), (IMAGES,)),
    "capsnet.MatrixCapsNet": Case(
        network(capsnet.MatrixCapsNetConfig(2, 2, (2,)), (9, 9, 1)),
        (uniform(2, 9, 9, 1),),
        scales=(1e-30,),
    ),
    "capsnet.TrunkAndHead": Case(
        network(
            capsnet.TrunkAndHeadConfig(SabourTrunk(2, 2, 3, 3), CapsuleHead(UniformRouting(), 2)),
            (9, 9, 1),
        ),
        (uniform(2, 9, 9, 1),),
        scales=(1e-30,),
    ),
    "capsnet.VariationalCapsNet": Case(
        network(capsnet.VariationalCapsNetConfig(2, 2, (2,)), (9, 9, 1)),
        (uniform(2, 9, 9, 1),),
        scales=(1e-30,),
    ),
    "capsnet.spread_loss": Case(
        lambda activations: capsnet.losses.spread_loss(
            activations, ONE_HOT[: len(activations)], margin=0.5
        ),
        (uniform(2, 10),),
        scales=(1e-30,),
    ),
    **{
        f"cnn.convolve {lowering}": Case(
            lambda images, kernel, lowering=lowering: cnn.convolve(
                images, kernel, lowering=lowering
            ),
            (IMAGES, uniform(3, 3, 1, 2)),
            fixed=1,
        )
        for lowering in ("native", "patches", "fourier", "auto")
    },
    "cnn.Convolution": Case(layer(lambda rngs: cnn.Convolution(1, 2, 3, rngs=rngs)), (IMAGES,)),
    **{
        f"cnn.pool {kind}": Case(lambda images, kind=kind: cnn.pool(images, kind), (IMAGES,))
        for kind in ("max2", "average2", "none")
    },
    **{
        f"cnn.downsample {kind}": Case(
            lambda images, kind=kind: downsample(images, kind),
            (IMAGES,),
        )
        for kind in KINDS
    },
    "cnn.LearnablePolyphaseSampling": Case(
        layer(lambda rngs: LearnablePolyphaseSampling(1, rngs=rngs)), (IMAGES,)
    ),
    "cnn.dense": Case(layer(lambda rngs: cnn.dense(3, 4, rngs=rngs)), (uniform(2, 3),)),
    "cnn.classification_loss": Case(
        lambda logits: cnn.classification_loss(logits, LABELS[: len(logits)]), (uniform(2, 10),)
    ),
    "cnn.multi_label_loss": Case(
        lambda logits: multi_label_loss(logits, PAIRS[: len(logits)]), (uniform(2, 10),)
    ),
    "cnn.accuracy": Case(lambda logits: accuracy(logits, LABELS[: len(logits)]), (uniform(2, 10),)),
    "cnn.DeconvolutionDecoder": Case(
        layer(lambda rngs: DeconvolutionDecoder((3, 2)).build(3, 2, (4, 4, 1), rngs=rngs)),
        (uniform(2, 3, 2), ONE_HOT[:, :3]),
    ),
    "cnn.DenseDecoder": Case(
        layer(lambda rngs: DenseDecoder((4,)).build(3, 2, (4, 4, 1), rngs=rngs)),
        (uniform(2, 3, 2), ONE_HOT[:, :3]),
    ),
    "cnn.ConvolutionalNetwork": Case(network(PLAIN), (IMAGES,)),
    "cnn.MultiLabelNetwork": Case(network(MultiLabelNetworkConfig(PLAIN)), (IMAGES,)),
    "cnn.PoolingNetwork": Case(network(PoolingNetworkConfig(channels=2)), (IMAGES,)),
    "cnn.BagOfParts": Case(network(BagOfPartsConfig((2,)), (9, 9, 1)), (uniform(2, 9, 9, 1),)),
    "cnn.ResidualNetwork": Case(network(ResidualNetworkConfig((1, 1), 900)), (IMAGES,)),
    "cnn.CompactTransformer": Case(
        network(CompactTransformerConfig((2,), 1, parameters=1000)), (IMAGES,), scales=(1e-30,)
    ),
    "cnn.ReconstructingNetwork": Case(
        network(ReconstructingNetworkConfig(PLAIN, class_dim=2, decoder=DenseDecoder((4,)))),
        (IMAGES,),
    ),
    "equivariant.LiftingConvolution": Case(
        layer(lambda rngs: equivariant.LiftingConvolution(equivariant.P4, 1, 2, 3, rngs=rngs)),
        (IMAGES,),
    ),
    "equivariant.GroupConvolution": Case(
        layer(lambda rngs: equivariant.GroupConvolution(equivariant.C8, 2, 3, 4, rngs=rngs)),
        (uniform(2, 5, 5, 8, 2),),
    ),
    "equivariant.pool_elements": Case(equivariant.pool_elements, (uniform(2, 4, 4, 4, 3),)),
    "equivariant.pool_places": Case(equivariant.pool_places, (uniform(2, 4, 4, 4, 3),)),
    "equivariant.GroupNetwork": Case(
        network(equivariant.GroupNetworkConfig("p4", channels=2), (28, 28, 1)),
        (uniform(2, 28, 28, 1),),
    ),
    "equivariant.PenalisedNetwork": Case(
        network(equivariant.PenalisedConfig(PLAIN, equivariant.ConsistencyPenalty())), (IMAGES,)
    ),
    "equivariant.move": Case(move, (IMAGES, uniform(2, 4))),
    "equivariant.tangent": Case(tangent, (IMAGES, uniform(2, 4))),
    "equivariant.CanonicalisedNetwork": Case(
        network(CanonicalisedConfig(PLAIN, LearntOrientation(4, 2, 2, 3, 3))), (IMAGES,)
    ),
    "equivariant.principal_axis": Case(principal_axis, (IMAGES,)),
    "equivariant.turn": Case(turn, (IMAGES, uniform(2, 2, 2))),
    "equivariant.PolarNetwork": Case(network(PolarNetworkConfig((3, 2), (1, 2), 2)), (IMAGES,)),
    "equivariant.log_polar": Case(log_polar, (IMAGES, grid(4, 5))),
    "equivariant.centroid": Case(centroid, (uniform(2, 4, 5),)),
    **{
        f"stn.sample {method} {padding}": Case(
            lambda images, grid, method=method, padding=padding: stn.sample(
                images, grid, method=method, padding=padding
            ),
            (IMAGES, grid(4, 5)),
        )
        for method in ("nearest", "bilinear", "bicubic")
        for padding in ("zeros", "border", "reflection")
    },
    **{
        f"stn.sample {lowering}": Case(
            lambda images, grid, lowering=lowering: stn.sample(images, grid, lowering=lowering),
            (IMAGES, grid(4, 5)),
        )
        for lowering in ("gather", "packed", "matmul")
    },
    "stn.sample volumes": Case(stn.sample, (uniform(2, 4, 4, 4, 1), grid(3, 3, 3))),
    "stn.sample_supersampled": Case(
        lambda images, grid: stn.sample_supersampled(images, grid, factor=2),
        (IMAGES, grid(4, 5)),
    ),
    "stn.sample_mipmapped": Case(
        lambda images, grid: stn.sample_mipmapped(images, grid, levels=2), (IMAGES, grid(4, 5))
    ),
    "stn.affine_grid": Case(
        lambda theta: stn.affine_grid(theta, (3, 4)),
        (np.tile(np.eye(2, 3, dtype="f4"), (2, 1, 1)),),
    ),
    **{
        f"stn {name} grid": Case(
            lambda theta, transform=transform: transform.grid(theta, (3, 4)),
            (locations(transform),),
            scales=(1e-30,) if name == "exponential" else (1e-30, 1e30),
        )
        for name, transform in TRANSFORMS.items()
    },
    **{
        f"stn {name} apply": Case(
            lambda theta, points, transform=transform: transform.apply(theta, points),
            (locations(transform), uniform(2, 5, 2)),
            scales=(1e-30,),
        )
        for name, transform in TRANSFORMS.items()
    },
    "stn.warp_statistics": Case(
        lambda grid: stn.warp_statistics(grid)[:-1], (grid(4, 5),), scales=()
    ),
    "stn.frame": Case(stn.frame, (grid(4, 5),)),
    "stn.pixel_coordinates": Case(
        lambda points: stn.pixel_coordinates(points, (8, 6)), (uniform(2, 5, 2),)
    ),
    "stn.identity_penalty": Case(stn.identity_penalty, (grid(4, 5),)),
    "stn.outside_penalty": Case(stn.outside_penalty, (grid(4, 5),)),
    "stn.collapse_penalty": Case(stn.collapse_penalty, (grid(4, 5),)),
    "stn.triplet_hinge": Case(
        lambda *features: triplet_hinge(*features, margin=1.0),
        (uniform(2, 3), uniform(2, 3), uniform(2, 3)),
        scales=(1e-30,),
    ),
    "stn.DenseLocalisation": Case(layer(localisation), (IMAGES,)),
    "stn.ConvolutionalLocalisation": Case(
        layer(
            lambda rngs: stn.ConvolutionalLocalisation(
                (28, 28, 1), channels=2, coordinates=True, rngs=rngs
            )
        ),
        (uniform(2, 28, 28, 1),),
    ),
    "stn.SpatialTransformer": Case(layer(transformer), (IMAGES,)),
    "stn.IteratedTransformer": Case(
        layer(
            lambda rngs: stn.IteratedTransformer(
                localisation(rngs), stn.transforms.Affine(), steps=3, rngs=rngs
            )
        ),
        (IMAGES,),
    ),
    "stn.ParallelTransformers": Case(
        layer(lambda rngs: stn.ParallelTransformers([transformer(rngs)])), (IMAGES,)
    ),
    "stn.SharedLayersTransformer": Case(
        layer(lambda rngs: stn.SharedLayersTransformer(lambda images: images, transformer(rngs))),
        (IMAGES,),
    ),
    "stn.TransformerNetwork": Case(
        network(TransformerNetworkConfig("fcn", parameters=3000)), (IMAGES,)
    ),
}


def ready(case):
    return case.call.ready() if isinstance(case.call, Built) else case.call


def shapes(case, arguments):
    """Shapes and types of the results, of constants: nothing is compiled."""
    call = ready(case)
    return jax.tree.leaves(jax.eval_shape(lambda: call(*arguments)))


def by_name(cases=CASES):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def test_nothing_public_is_left_out():
    names = " ".join(CASES)
    elsewhere = {
        "Output", "Views", "Warp", "losses", "routing", "paper", "sabour_code", "affine_capsnet",
        "count_parameters",
        "match_width", "transforms", "identity_grid", "tiled_poses", "WarpStatistics",
        "Group", "TRIVIAL", "P4", "P4M", "C8", "C16", "p4cnn", "z2cnn", "log_polar_grid",
    }  # fmt: skip
    for room in (capsnet, cnn, equivariant, stn):
        for name in set(room.__all__) - elsewhere:
            if f"{room.__name__}.{name}" in MODULES:  # a configuration
                continue
            assert f"{room.__name__}.{name}" in names or name.endswith("Transformed"), name


@by_name()
def test_whatever_the_type_is(case):
    expected = shapes(case, [jnp.asarray(argument) for argument in case.arguments])
    assert all(leaf.dtype in (jnp.float32, jnp.bool_) for leaf in expected)
    for kind in (np.float32, np.float64, np.int32, np.uint8):
        found = shapes(case, [argument.astype(kind) for argument in case.arguments])
        assert found == expected
    for kind in (jnp.bfloat16, jnp.float16):
        found = shapes(case, [jnp.asarray(argument, kind) for argument in case.arguments])
        assert [leaf.shape for leaf in found] == [leaf.shape for leaf in expected]
        assert all(leaf.dtype in (kind, jnp.float32, jnp.bool_) for leaf in found)


@by_name()
def test_no_images_give_no_results(case):
    count = len(case.arguments) - case.fixed
    none = [argument[:0] for argument in case.arguments[:count]]
    empty = shapes(case, [*none, *case.arguments[count:]])
    for leaf, full in zip(empty, shapes(case, case.arguments), strict=True):
        batch = full.shape.index(2) if 2 in full.shape else None
        expected = list(full.shape)
        if batch is not None:
            expected[batch] = 0
        assert leaf.shape == tuple(expected)


@by_name()
def test_not_a_number_huge_and_tiny(case):
    call = jax.jit(ready(case))

    def leaves(first):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(call(first, *case.arguments[1:]))]

    expected = leaves(case.arguments[0])
    assert all(np.all(np.isfinite(leaf)) for leaf in expected)
    spoilt = np.array(case.arguments[0])
    spoilt[0] = np.nan
    found = leaves(spoilt)
    assert any(np.isnan(leaf).any() for leaf in found)
    for one, other in zip(found, expected, strict=True):
        if one.ndim and len(one) == 2:  # of two images
            np.testing.assert_array_equal(one[1], other[1])
    for scale in case.scales:
        assert not any(
            np.isnan(leaf).any() for leaf in leaves(case.arguments[0] * np.float32(scale))
        )


@pytest.mark.parametrize("name", ["capsnet.CapsNet", "cnn.ReconstructingNetwork"])
def test_losses_of_no_images_are_not_numbers(name):
    batch = types.SimpleNamespace(images=IMAGES[:0], labels=LABELS[:0])
    loss, metrics = CASES[name].call.make().loss(batch)
    assert np.isnan([loss, *metrics.values()]).all()
