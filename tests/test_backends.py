"""Programs of the experiments' networks, made on this machine for others."""

import functools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

import configs
from capsnet.routing import DynamicRouting
from cnn import ConvolutionalNetworkConfig
from stn.networks.mnist import TransformerNetworkConfig
from tests.test_modes import capsules

TRANSFORMER = "stn_mnist:tc,st_cnn_affine"
SHAPES = {
    "capsnet_mnist": (28, 28, 1),
    "cnn_mnist": (28, 28, 1),
    TRANSFORMER: (60, 60, 1),
}
# Each with the shape of its images; of few channels, so that they are compiled quickly.
SMALL = {
    "capsnet": (capsules(routing=DynamicRouting(2)), (9, 9, 1)),
    "cnn": (ConvolutionalNetworkConfig((3, 3), 3, "SAME", ("max2", "none"), (4,)), (8, 8, 1)),
    "st_fcn": (TransformerNetworkConfig("fcn", parameters=12_000), (8, 8, 1)),
}
SPECTRA, PATCHES, CONVOLUTION = (
    "@convolve_spectra",
    "@_patches_times_matrix",
    "stablehlo.convolution",
)
PLATFORMS = ("cpu", "cuda", "tpu")


def functions(config, shape):
    """Logits and gradient as functions of the state; and the state, if abstract."""
    abstract = nnx.eval_shape(lambda: config.build(shape, 10, nnx.Rngs(0)))
    graph, parameters, rest = nnx.split(abstract, nnx.Param, ...)

    def logits(parameters, rest, images):
        model = nnx.view(
            nnx.merge(graph, parameters, rest, copy=True),
            deterministic=True,
            use_running_average=True,
            raise_if_not_found=False,
        )
        return model(images).logits

    def gradient(parameters, rest, images):
        batch = types.SimpleNamespace(images=images, labels=jnp.ones(images.shape[0], jnp.int32))

        def loss(parameters):
            return nnx.merge(graph, parameters, rest, copy=True).loss(batch)[0]

        return jax.grad(loss)(parameters)

    return logits, gradient, parameters, rest


@functools.cache
def programs(name):
    """The logits for any number of images and the gradient for 128, for each platform."""
    shape = SHAPES[name]
    logits, gradient, *state = functions(configs.load(name).model, shape)
    (batch,) = export.symbolic_shape("b")
    some, many = (jax.ShapeDtypeStruct((n, *shape), jnp.float32) for n in (batch, 128))
    traced = jax.jit(gradient).trace(*state, many)
    return {
        platform: (
            export.export(jax.jit(logits), platforms=[platform])(*state, some).mlir_module(),
            traced.lower(lowering_platforms=(platform,)).as_text(),
        )
        for platform in PLATFORMS
    }


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_programs_for_accelerators_convolve(name, platform):
    for program in programs(name)[platform]:
        assert CONVOLUTION in program
        assert SPECTRA not in program
        assert PATCHES not in program


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_on_cpus_do_not_convolve(name):
    _, gradient = programs(name)["cpu"]
    assert CONVOLUTION not in gradient
    assert PATCHES in gradient
    assert SPECTRA in gradient


def test_the_primary_capsules_go_through_spectra_on_cpus():
    logits, _ = programs("capsnet_mnist")["cpu"]
    assert SPECTRA in logits
    assert logits.count(CONVOLUTION) == 1


@pytest.mark.parametrize(
    ("platform", "values", "derivatives"), [("cpu", 1, 4), ("cuda", 1, 1), ("tpu", None, None)]
)
def test_transformers_read_as_the_platform_reads_fastest(platform, values, derivatives):
    expected = values, derivatives
    for program, pixels in zip(programs(TRANSFORMER)[platform], expected, strict=True):
        read = set(re.findall(r"slice_sizes = array<i64: 1, (\d+)>", program))
        assert read == ({str(pixels)} if pixels else set())


@pytest.mark.parametrize("name", SMALL)
def test_a_program_for_several_platforms_runs_on_this_one(name):
    config, shape = SMALL[name]
    logits, gradient, *_ = functions(config, shape)
    built = nnx.jit(lambda: config.build(shape, 10, nnx.Rngs(0)))()
    _, *state = nnx.split(built, nnx.Param, ...)
    images = np.random.default_rng(0).uniform(size=(2, *shape)).astype(np.float32)

    def both(parameters, rest, images):
        found = logits(parameters, rest, images), gradient(parameters, rest, images)
        return jax.tree.leaves(found)

    served = export.export(jax.jit(both), platforms=PLATFORMS)(*state, images)
    assert served.platforms == PLATFORMS
    pairs = jax.jit(lambda *arguments: (served.call(*arguments), both(*arguments)))
    for found, expected in zip(*pairs(*state, images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
