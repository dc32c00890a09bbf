import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn import fourier
from cnn.fourier import convolve_spectra, make_tiling


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
        found = convolve_spectra(
            jnp.asarray(images),
            jnp.asarray(taps),
            strides=strides,
            out_size=out_size,
            tiling=make_tiling(out_size, kernel, strides, outputs),
        )
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_tile_costs_the_independent_products():
    # 10x10 pixels have 4 frequencies that are real and 48 conjugate pairs of three products each.
    tiling = make_tiling((6, 6), (9, 9), (2, 2), 6)
    assert tiling.inputs == (10, 10)
    assert tiling.products == 4 + 3 * 48
    for size, taps, outputs in [((5, 5), (3, 3), (3, 3)), ((4, 7), (3, 2), (2, 6))]:
        matrices = fourier._transforms(size, taps, outputs)
        products = fourier.Tiling(outputs, (1, 1), taps).products
        assert [matrix.shape for matrix in matrices] == [
            (products, size[0] * size[1]),
            (products, taps[0] * taps[1]),
            (outputs[0] * outputs[1], products),
        ]


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
