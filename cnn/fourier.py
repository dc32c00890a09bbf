"""Convolution with large kernels as products of spectra: fewer multiplications, the same values.

A stride is taken apart first: image and kernel are split into their phases, which become channels,
so that what remains has stride one. The outputs are then cut into tiles. A tile of t outputs
under a kernel of k taps reads n = t + k - 1 pixels, and the circular correlation of just these n
pixels has the t outputs unharmed among its values: nothing is padded. The discrete Fourier
transform turns it into one product of matrices, [tiles, in_channels] times [in_channels,
out_channels], for each frequency.

Everything is written with real numbers. Images and kernels are real, so one frequency of each
conjugate pair suffices; a complex product takes three real ones (Gauss); and both facts are put
into the matrices of the transforms, as in Winograd's algorithms: outputs = O((I images) * (K
kernel)) with constant I, K and O and one batched real product between them. Gradients follow by
differentiation and stay among the spectra.

Vasilache et al. (2015), arXiv 1412.7580; Lavin and Gray (2016), arXiv 1509.09308.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Pair = tuple[int, int]


class Tiling(NamedTuple):
    """How a layer is cut up; pairs are for height and width.

    Attributes:
        outputs: Pixels of one tile of the output.
        tiles: How many tiles cover the output; the last may hang over its edge.
        taps: Of the kernel's phases.
    """

    outputs: Pair
    tiles: Pair
    taps: Pair

    @property
    def inputs(self) -> Pair:
        """Pixels of each phase that a tile reads: the size of the transform."""
        return (self.outputs[0] + self.taps[0] - 1, self.outputs[1] + self.taps[1] - 1)

    @property
    def products(self) -> int:
        """Real products for each tile and pair of channels."""
        height, width = self.inputs
        real = (1 + (height % 2 == 0)) * (1 + (width % 2 == 0))
        return real + 3 * (height * width - real) // 2


def make_tiling(out_size: Pair, kernel_size: Pair, strides: Pair, outputs: int) -> Tiling:
    """The tiling of a layer into tiles of at most `outputs` x `outputs` pixels."""
    tile = (min(outputs, out_size[0]), min(outputs, out_size[1]))
    tiles = (-(-out_size[0] // tile[0]), -(-out_size[1] // tile[1]))
    taps = (-(-kernel_size[0] // strides[0]), -(-kernel_size[1] // strides[1]))
    return Tiling(tile, tiles, taps)


@functools.partial(jax.jit, static_argnames=("strides", "out_size", "tiling"))
def convolve_spectra(
    images: Float[Array, "batch height width in_channels"],
    kernel: Float[Array, "kernel_height kernel_width in_channels out_channels"],
    *,
    strides: Pair,
    out_size: Pair,
    tiling: Tiling,
) -> Float[Array, "batch out_height out_width out_channels"]:
    """Correlates images, already padded, with a kernel; float32 or wider inside.

    Args:
        images: NHWC.
        kernel: HWIO.
        strides: Steps along height and width.
        out_size: Height and width of the output.
        tiling: See `make_tiling`.
    """
    wide = jnp.promote_types(images.dtype, jnp.float32)
    matrices = _transforms(tiling.inputs, tiling.taps, tiling.outputs)
    from_images, from_kernel, to_outputs = (matrix.astype(wide) for matrix in matrices)
    pixels = _image_tiles(images.astype(wide), strides, tiling)
    taps = _phases(kernel.astype(wide)[None], strides, tiling.taps)[0]
    image_spectra = _apply(from_images, pixels.reshape(-1, *pixels.shape[2:]))
    kernel_spectra = _apply(from_kernel, taps.reshape(-1, *taps.shape[2:]))
    products = jnp.einsum("ftc,fco->fto", image_spectra, kernel_spectra)
    outputs = _apply(to_outputs, products)
    return _join_tiles(outputs, images.shape[0], out_size, tiling).astype(images.dtype)


def _image_tiles(images, strides, tiling):
    """`[tile_height, tile_width, batch * tiles, phases * channels]`."""
    (outputs_high, outputs_wide), (tiles_high, tiles_wide), _ = tiling
    high, wide = tiling.inputs
    size = ((tiles_high - 1) * outputs_high + high, (tiles_wide - 1) * outputs_wide + wide)
    phases = _phases(images, strides, size)
    rows = [phases[:, row * outputs_high :][:, :high] for row in range(tiles_high)]
    tiles = jnp.stack(
        [
            part[:, :, column * outputs_wide :][:, :, :wide]
            for part in rows
            for column in range(tiles_wide)
        ],
        axis=1,
    )
    return tiles.transpose(2, 3, 0, 1, 4).reshape(high, wide, -1, phases.shape[-1])


def _phases(images, strides, size):
    """`[batch, *size, stride_height * stride_width * channels, ...]`, cut or filled with zeros."""
    full = (size[0] * strides[0], size[1] * strides[1])
    images = images[:, : full[0], : full[1]]
    batch, height, width, channels, *rest = images.shape
    missing = ((0, full[0] - height), (0, full[1] - width))
    images = jnp.pad(images, ((0, 0), *missing, (0, 0), *((0, 0) for _ in rest)))
    images = images.reshape(batch, size[0], strides[0], size[1], strides[1], channels, *rest)
    return jnp.swapaxes(images, 2, 3).reshape(batch, *size, -1, *rest)


def _apply(matrix, values):
    """A constant matrix times the first axis."""
    flat = values.reshape(values.shape[0], -1)
    result = lax.dot(matrix, flat, precision=lax.Precision.HIGHEST)
    return result.reshape(-1, *values.shape[1:])


def _join_tiles(outputs, batch, out_size, tiling):
    high, wide = tiling.outputs
    rows, columns = tiling.tiles
    outputs = outputs.reshape(high, wide, batch, rows, columns, -1)
    outputs = outputs.transpose(2, 3, 0, 4, 1, 5)
    joined = outputs.reshape(batch, rows * high, columns * wide, -1)
    return joined[:, : out_size[0], : out_size[1]]


@functools.cache
def _transforms(size: Pair, taps: Pair, outputs: Pair) -> tuple[np.ndarray, ...]:
    """The constant matrices I `[products, pixels]`, K `[products, taps]`, O `[outputs, products]`.

    The correlation theorem: the spectrum of the outputs is that of the image times the conjugate
    of the kernel's. With a + bi from the image and c + di from the conjugate, the three products
    are ac, bd and (a + b)(c + d), and (a + bi)(c + di) = (ac - bd) + ((a + b)(c + d) - ac - bd) i.
    """
    waves = [np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in size]
    spectrum = np.einsum("ap,bq->abpq", *waves).reshape(size[0] * size[1], -1)
    number = np.arange(size[0] * size[1]).reshape(size)
    conjugate = number[-np.arange(size[0])][:, -np.arange(size[1])]
    real = spectrum[number[number == conjugate]].real
    pairs = spectrum[number[number < conjugate]]

    from_images = np.concatenate([pairs.real, pairs.imag, pairs.real + pairs.imag, real])
    from_kernel = np.concatenate([pairs.real, -pairs.imag, pairs.real - pairs.imag, real])
    # Back: the pair's two frequencies add up to twice the real part of exp(+...) (re + im i).
    re, im = 2 * pairs.real.T, 2 * pairs.imag.T
    to_outputs = np.concatenate([re - im, -re - im, im, real.T], axis=1) / number.size
    within = [number[:high, :wide].ravel() for high, wide in (taps, outputs)]
    return from_images, from_kernel[:, within[0]], to_outputs[within[1]]
