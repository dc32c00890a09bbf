"""What the Fourier lowering promises of images whose values are not of one scale, or not finite."""

import jax
import numpy as np
import pytest

from cnn import convolve

EPS = np.finfo(np.float32).eps
SHAPES = [((2, 28, 28, 1), (9, 9, 1, 8), (1, 1)), ((2, 20, 20, 16), (9, 9, 16, 8), (2, 2))]


def arrays(image_shape, kernel_shape):
    random = np.random.default_rng(0)
    images = 1e-2 * random.uniform(size=image_shape)
    return images.astype(np.float32), random.normal(size=kernel_shape).astype(np.float32)


@pytest.mark.parametrize("spike", [1.0, 1e4, 1e8])
@pytest.mark.parametrize(("image_shape", "kernel_shape", "strides"), SHAPES)
def test_errors_are_in_proportion_to_the_largest_value_of_each_image(
    image_shape, kernel_shape, strides, spike
):
    images, kernel = arrays(image_shape, kernel_shape)
    images[0, 14, 9, 0] = spike
    with jax.enable_x64(True):
        wide = images.astype(np.float64), kernel.astype(np.float64)
        exact = np.asarray(convolve(*wide, strides=strides, lowering="native"))
    found = np.asarray(convolve(images, kernel, strides=strides, lowering="fourier"))
    largest = np.abs(images).max(axis=(1, 2, 3))
    bound = 2 * EPS * largest * np.abs(kernel).sum(axis=(0, 1, 2)).max()
    assert np.all(np.abs(found - exact).max(axis=(1, 2, 3)) <= bound)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("image_shape", "kernel_shape", "strides"), SHAPES)
def test_what_is_not_finite_spoils_its_own_image_only(image_shape, kernel_shape, strides, value):
    images, kernel = arrays(image_shape, kernel_shape)
    clean = np.asarray(convolve(images, kernel, strides=strides, lowering="fourier"))
    images[0, 0, 0, 0] = value
    found = np.asarray(convolve(images, kernel, strides=strides, lowering="fourier"))
    assert not np.any(np.isfinite(found[0, 0, 0]))
    np.testing.assert_array_equal(found[1], clean[1])


def test_a_kernel_that_is_not_finite_spoils_its_own_outputs_only():
    images, kernel = arrays(*SHAPES[0][:2])
    clean = np.asarray(convolve(images, kernel, lowering="fourier"))
    kernel[4, 4, 0, 3] = np.nan
    found = np.asarray(convolve(images, kernel, lowering="fourier"))
    assert np.all(np.isnan(found[..., 3]))
    rest = [channel for channel in range(8) if channel != 3]
    np.testing.assert_array_equal(found[..., rest], clean[..., rest])
