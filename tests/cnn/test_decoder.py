import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn.decoder import Decoder, DeconvolutionDecoder, DenseDecoder, check_decoder, doubled
from cnn.parameter_budget import count_parameters
from training.config_names import choices

DECODERS = (DenseDecoder((7,)), DeconvolutionDecoder((3, 2, 2)))
run = nnx.jit(lambda decoder, *inputs: decoder(*inputs))


@functools.cache
def built(config, *sizes, **options):
    # In one program, as every eager operation would be one of its own.
    return nnx.jit(lambda: config.build(*sizes, rngs=nnx.Rngs(3), **options))()


def vectors(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def weights(layer):
    return (np.float64(layer.kernel[...]), np.float64(layer.bias[...]))


@pytest.mark.parametrize("config", DECODERS)
def test_decoder_sees_the_masked_vector_alone(config):
    decoder = built(config, 3, 4, (5, 6, 2))
    given, mask = vectors(2, 3, 4), np.eye(3, dtype=np.float32)[[1, 2]]
    images = run(decoder, given, mask)
    assert images.shape == (2, 5, 6, 2)
    others = given + 10.0 * (1 - mask[..., None])
    np.testing.assert_allclose(run(decoder, others, mask), images, atol=1e-6)
    assert not np.allclose(run(decoder, given + 10.0 * mask[..., None], mask), images)


def test_parameters_by_hand():
    def count(config, shape, classes=10):
        return count_parameters(lambda: config.build(classes, 16, shape, rngs=nnx.Rngs(0)))

    grey, colour = (28, 28, 1), (30, 17, 3)
    assert count(DenseDecoder(), grey) == 161 * 512 + 513 * 1024 + 1025 * 784 == 1_411_344
    assert count(DenseDecoder((5,)), colour, 4) == 65 * 5 + 6 * 30 * 17 * 3
    convolutions = (9 * 32 + 1) * 32 + (9 * 32 + 1) * 16
    assert count(DeconvolutionDecoder(), grey) == 161 * 49 * 32 + convolutions + 145 == 266_465
    # 30x17, 15x9, 8x5.
    expected = 65 * 8 * 5 * 32 + convolutions + (9 * 16 + 1) * 3
    assert count(DeconvolutionDecoder(), colour, 4) == expected
    assert count(DeconvolutionDecoder((4,), 1), (2, 3, 1), 4) == 65 * 6 * 4 + 5


def test_a_dense_decoder_draws_what_it_always_drew():
    decoder, rngs = built(DenseDecoder((5, 6)), 3, 4, (4, 2, 1)), nnx.Rngs(3)
    he, lecun = nnx.initializers.he_normal(), nnx.initializers.lecun_normal()
    draws = {(12, 5): he, (5, 6): he, (6, 8): lecun}
    for layer, (sizes, init) in zip(decoder.layers, draws.items(), strict=True):
        np.testing.assert_allclose(layer.kernel[...], init(rngs.params(), sizes, jnp.float32))
        rngs.params()  # of the bias
    assert set(nnx.to_flat_state(nnx.state(decoder, nnx.Param)).paths) == {
        ("layers", layer, name) for layer in range(3) for name in ("kernel", "bias")
    }


def convolved(maps, kernel, bias):
    """A padded convolution in plain loops, of kernels with odd sides."""
    reach = kernel.shape[0] // 2
    padded = np.pad(maps, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    found = np.zeros((*maps.shape[:3], kernel.shape[3])) + bias
    for image, row, column in np.ndindex(*maps.shape[:3]):
        window = padded[image, row : row + 2 * reach + 1, column : column + 2 * reach + 1]
        found[image, row, column] += np.einsum("hwc,hwco->o", window, kernel)
    return found


def test_deconvolution_is_repeating_and_convolving():
    decoder = built(DECODERS[1], 2, 3, (5, 7, 3))
    given, mask = vectors(2, 2, 3), np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    kernel, bias = weights(decoder.dense)
    masked = np.float64(given * mask[..., None]).reshape(2, 6)
    maps = np.maximum(masked @ kernel + bias, 0.0).reshape(2, 2, 2, 3)
    first, second, last = map(weights, decoder.convolutions)
    for layer, (height, width) in ((first, (3, 4)), (second, (5, 7))):
        larger = np.zeros((2, height, width, maps.shape[3]))
        for row, column in np.ndindex(height, width):
            larger[:, row, column] = maps[:, row // 2, column // 2]
        maps = np.maximum(convolved(larger, *layer), 0.0)
    expected = sigmoid(convolved(maps, *last))
    np.testing.assert_allclose(run(decoder, given, mask), expected, atol=1e-5)


def test_pixels_are_repeated_and_cut():
    grid = jnp.arange(4.0).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(
        doubled(grid, (3, 4))[0, ..., 0], [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]
    )


@pytest.mark.parametrize("config", [DenseDecoder(), DeconvolutionDecoder()])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (97, 33, 3)])
def test_images_of_any_size_and_channels(config, shape):
    decoder = nnx.eval_shape(lambda: config.build(3, 2, shape, rngs=nnx.Rngs(0)))
    images = nnx.eval_shape(
        lambda decoder: decoder(jnp.zeros((4, 3, 2)), jnp.ones((4, 3))), decoder
    )
    assert images.shape == (4, *shape)
    assert images.dtype == jnp.float32


def test_initialisers_are_those_given():
    ones, halves = nnx.initializers.ones_init(), nnx.initializers.constant(0.5)
    for config in DECODERS:
        decoder = built(config, 2, 2, (4, 4, 1), kernel_init=ones, bias_init=halves)
        flat = nnx.to_flat_state(nnx.state(decoder, nnx.Param))
        for path, leaf in flat:
            assert np.all(leaf[...] == (1.0 if path[-1] == "kernel" else 0.5))


def test_decoders_are_chosen_by_name():
    assert list(choices(Decoder)) == ["deconvolution_decoder", "dense_decoder"]


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (DenseDecoder((0,)), r"widths=\(0,\): 0: must be at least 1"),
        (DeconvolutionDecoder(()), r"channels=\(\): must have from 1 to 16 values"),
        (DeconvolutionDecoder((4, -1)), r"channels=\(4, -1\): -1: must be at least 1"),
        (DeconvolutionDecoder(kernel_size=0), "kernel_size=0: must be at least 1"),
        ("dense", "decoder='dense': must be of a type that derives from cnn.decoder.Decoder"),
    ],
)
def test_what_no_decoder_can_have_is_one_line(decoder, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_decoder(decoder)
    assert "\n" not in str(caught.value)
    if isinstance(decoder, Decoder):
        with pytest.raises(ValueError, match=message):
            decoder.build(3, 2, (4, 4, 1), rngs=nnx.Rngs(0))


def test_gradients_reach_every_parameter():
    decoder = built(DECODERS[1], 3, 4, (5, 6, 2))
    mask = np.ones((2, 3), np.float32)
    loss = nnx.jit(nnx.grad(lambda decoder, given: jnp.sum(decoder(given, mask) ** 2)))
    for gradient in jax.tree.leaves(loss(decoder, vectors(2, 3, 4))):
        assert np.any(np.asarray(gradient) != 0)
