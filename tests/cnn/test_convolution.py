import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.signal import correlate2d

from cnn import Convolution, convolve

SHAPES = [
    # image, kernel, strides: the networks' own cases at few channels, and odd ones.
    ((2, 28, 28, 1), (9, 9, 1, 4), (1, 1)),
    ((2, 20, 20, 4), (9, 9, 4, 8), (2, 2)),
    ((3, 14, 14, 2), (5, 5, 2, 3), (1, 1)),
    ((2, 11, 7, 3), (3, 2, 3, 5), (2, 3)),
    ((1, 5, 5, 1), (5, 5, 1, 1), (1, 1)),
]


def arrays(image_shape, kernel_shape):
    random = np.random.default_rng(0)
    return tuple(np.float32(random.normal(size=shape)) for shape in (image_shape, kernel_shape))


@pytest.mark.parametrize(("image_shape", "kernel_shape", "strides"), SHAPES)
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_lowerings_agree_in_value_and_gradients(image_shape, kernel_shape, strides, padding):
    images, kernel = arrays(image_shape, kernel_shape)

    @jax.jit
    def each(images, kernel):
        def run(name):
            def loss(images, kernel):
                outputs = convolve(images, kernel, strides=strides, padding=padding, lowering=name)
                return jnp.sum(jnp.sin(outputs)), outputs

            gradients, outputs = jax.grad(loss, (0, 1), has_aux=True)(images, kernel)
            return outputs, *gradients

        return run("native"), {lowering: run(lowering) for lowering in ("patches", "fourier")}

    expected, found = each(images, kernel)
    for lowering, outputs in found.items():
        for other, native in zip(outputs, expected, strict=True):
            atol = 1e-5 * np.abs(native).max()
            np.testing.assert_allclose(other, native, atol=atol, err_msg=lowering)


def test_matches_scipy():
    images, kernel = arrays((1, 8, 9, 2), (3, 4, 2, 1))
    expected = sum(
        correlate2d(np.asarray(images)[0, :, :, c], np.asarray(kernel)[:, :, c, 0], mode="valid")
        for c in range(2)
    )
    np.testing.assert_allclose(convolve(images, kernel)[0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize(("image_shape", "kernel_shape", "strides"), SHAPES)
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_auto_agrees_with_and_without_derivatives(image_shape, kernel_shape, strides, padding):
    images, kernel = arrays(image_shape, kernel_shape)

    @jax.jit
    def both(images, kernel):
        def run(lowering):
            return functools.partial(convolve, strides=strides, padding=padding, lowering=lowering)

        native, gradients = jax.vjp(run("native"), images, kernel)
        differentiated, other_gradients = jax.vjp(run("auto"), images, kernel)
        found = run("auto")(images, kernel), differentiated, *other_gradients(native)
        return found, (native, native, *gradients(native))

    for other, expected in zip(*both(images, kernel), strict=True):
        np.testing.assert_allclose(other, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("backend", "derivatives", "operation"),
    [
        ("cpu", True, "dot_general"),
        ("cpu", False, "convolution"),
        ("cuda", True, "convolution"),
        ("cuda", False, "convolution"),
        ("rocm", True, "convolution"),
        ("tpu", True, "convolution"),
    ],
)
def test_auto_follows_the_choice(backend, derivatives, operation):
    function = (lambda *arrays: jax.jvp(convolve, arrays, arrays)) if derivatives else convolve
    traced = jax.jit(function).trace(*arrays((1, 6, 6, 1), (3, 3, 1, 1)))
    program = traced.lower(lowering_platforms=(backend,)).as_text()
    for name in ("dot_general", "convolution"):
        assert (f"stablehlo.{name}" in program) == (name == operation)


def test_nothing_is_chosen_where_all_backends_take_the_same():
    # Values of patches that overlap are convolved natively everywhere.
    program = str(jax.make_jaxpr(convolve)(*arrays((1, 6, 6, 1), (3, 3, 1, 1))))
    assert "conv_general_dilated" in program
    assert "cond[" not in program


def test_auto_takes_no_more_memory_than_its_lowering():
    images, kernel = arrays((8, 20, 20, 16), (9, 9, 16, 16))

    def memory(lowering):
        def loss(images, kernel):
            return jnp.sum(convolve(images, kernel, lowering=lowering) ** 2)

        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(images, kernel).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory("auto") == memory("fourier")


@pytest.mark.parametrize(("image_shape", "kernel_shape", "strides"), SHAPES[3:])
def test_auto_has_derivatives_of_second_order_and_maps(image_shape, kernel_shape, strides):
    images, kernel = arrays(image_shape, kernel_shape)

    def found(lowering):
        def loss(images, kernel):
            outputs = convolve(images, kernel, strides=strides, lowering=lowering)
            return jnp.sum(jnp.sin(outputs))

        gradient = jax.grad(loss, (0, 1))
        second = jax.jvp(gradient, (images, kernel), (images, kernel))
        mapped = jax.vmap(gradient, (0, None))(jnp.stack([images, 2 * images]), kernel)
        return second, mapped

    auto, native = jax.jit(lambda: (found("auto"), found("native")))()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max()), auto, native
    )


def test_layer_adds_its_bias_and_pads_nothing_by_default():
    layer = Convolution(1, 2, 3, bias_init=nnx.initializers.constant(0.5), rngs=nnx.Rngs(0))
    outputs = layer(jnp.zeros((1, 8, 8, 1)))
    np.testing.assert_array_equal(outputs, np.full((1, 6, 6, 2), 0.5, np.float32))


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters():
    layer = Convolution(1, 2, 3, dtype="bfloat16", rngs=nnx.Rngs(0))
    assert layer(jnp.zeros((1, 8, 8, 1))).dtype == jnp.bfloat16
    assert layer.kernel[...].dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "FULL"}, "padding='FULL'"),
        ({"lowering": "magic"}, "lowering='magic'"),
    ],
)
def test_unknown_names_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        convolve(*arrays((1, 6, 6, 1), (3, 3, 1, 1)), **options)


def test_a_kernel_larger_than_the_image_is_an_error():
    with pytest.raises(ValueError, match="7x7 kernel does not fit into a 6x6 image"):
        convolve(*arrays((1, 6, 6, 1), (7, 7, 1, 1)))
