import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnn.convolution.dft import make_transforms
from cnn.convolution.fourier import Tiling, convolve_spectra, make_tiling


def correlate(images, kernel, strides):
    """The definition, in loops over the output."""
    batch, height, width, _ = images.shape
    taps_high, taps_wide, _, channels = kernel.shape
    out_size = ((height - taps_high) // strides[0] + 1, (width - taps_wide) // strides[1] + 1)
    outputs = np.zeros((batch, *out_size, channels))
    for row in range(out_size[0]):
        for column in range(out_size[1]):
            top, left = row * strides[0], column * strides[1]
            field = images[:, top : top + taps_high, left : left + taps_wide]
            outputs[:, row, column] = np.einsum("bhwc,hwco->bo", field, kernel)
    return outputs


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize(
    ("image", "kernel", "strides"),
    [
        ((11, 8), (5, 3), (1, 1)),
        ((20, 20), (9, 9), (2, 2)),
        ((10, 13), (4, 5), (3, 2)),
        # The kernel is shorter than the stride, so some phases of the image meet no tap.
        ((9, 9), (2, 1), (3, 2)),
    ],
)
def test_every_tiling_gives_the_correlation(outputs, image, kernel, strides):
    random = np.random.default_rng(0)
    images, taps = random.normal(size=(2, *image, 3)), random.normal(size=(*kernel, 3, 4))
    expected = correlate(images, taps, strides)
    out_size = expected.shape[1:3]
    with jax.enable_x64(True):
        convolve = functools.partial(
            convolve_spectra,
            strides=strides,
            out_size=out_size,
            tiling=make_tiling(out_size, kernel, strides, outputs),
        )
        found = jax.jit(convolve)(images, taps)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("outputs", [4, 5, 9])
def test_gradients_of_every_tiling_are_those_of_the_convolution(outputs):
    random = np.random.default_rng(0)
    tiling = make_tiling((9, 8), (3, 4), (1, 1), outputs)

    def native(images, kernel):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            images, kernel, (1, 1), "VALID", dimension_numbers=dimensions
        )

    def spectra(images, kernel):
        return convolve_spectra(images, kernel, strides=(1, 1), out_size=(9, 8), tiling=tiling)

    with jax.enable_x64(True):
        images = jnp.asarray(random.normal(size=(2, 11, 11, 3)))
        kernel = jnp.asarray(random.normal(size=(3, 4, 3, 2)))
        cotangents = jnp.asarray(random.normal(size=(2, 9, 8, 2)))
        expected, found = jax.jit(
            lambda images, kernel, cotangents: tuple(
                jax.vjp(convolve, images, kernel)[1](cotangents) for convolve in (native, spectra)
            )
        )(images, kernel, cotangents)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)


def test_a_tile_costs_the_independent_products():
    # 10x10 pixels have 4 frequencies that are real and 48 conjugate pairs of three products each.
    tiling = make_tiling((6, 6), (9, 9), (2, 2), 6)
    assert tiling.inputs == (10, 10)
    assert tiling.products == 4 + 3 * 48
    for case in (tiling, Tiling((3, 3), (2, 1), (3, 3)), Tiling((2, 6), (1, 4), (3, 2))):
        multiplied = [
            transforms.image_rows.shape[0] * transforms.image_columns.shape[0]
            for transforms in make_transforms(case.inputs, case.taps, case.outputs, case.tiles)
        ]
        assert sum(multiplied) == case.products


def test_bfloat16_is_summed_in_float32():
    images = jnp.full((1, 8, 8, 1), 1.0, jnp.bfloat16)
    kernel = jnp.full((5, 5, 1, 1), 1.0 / 25.0, jnp.bfloat16)
    outputs = convolve_spectra(
        images,
        kernel,
        strides=(1, 1),
        out_size=(4, 4),
        tiling=make_tiling((4, 4), (5, 5), (1, 1), 4),
    )
    assert outputs.dtype == jnp.bfloat16
    np.testing.assert_array_equal(outputs, jnp.ones((1, 4, 4, 1), jnp.bfloat16))
