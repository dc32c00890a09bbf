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
kernel)) with constant I, K and O and one batched real product between them. Each of the three is
applied along one axis after the other, and I cuts the images into tiles as well
(`cnn.convolution.dft` has the matrices). Gradients follow by differentiation and stay among the
spectra.

Every output of an image comes from all its pixels. Errors are therefore in proportion to the
largest absolute value of the image, not of the pixels under the kernel: up to 0.7 times float32's
epsilon times that value times the kernel's absolute sum were measured, the tests allow 2. A pixel
that is not finite leaves no output of its image. Images do not mix, and neither do the kernel's
output channels. XLA's convolution and the patches have neither weakness.

Vasilache et al. (2015), arXiv 1412.7580; Lavin and Gray (2016), arXiv 1509.09308.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnn.arrays import wide_type
from cnn.convolution.dft import make_transforms

Pair = tuple[int, int]


class Tiling(NamedTuple):
    """Cutting of a layer into tiles; pairs are for height and width.

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
    def covered(self) -> Pair:
        """Pixels of each phase that all tiles together read."""
        (high, wide), (rows, columns), _ = self
        return ((rows - 1) * high + self.inputs[0], (columns - 1) * wide + self.inputs[1])

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
    wide = wide_type(images.dtype)
    pixels = _phases(images.astype(wide), strides, tiling.covered).transpose(1, 2, 0, 3)
    # The barrier, for XLA would take half a minute to fold the spectra of a constant kernel.
    kernel = lax.optimization_barrier(kernel.astype(wide))
    taps = _phases(kernel[None], strides, tiling.taps)[0]
    outputs = []
    for transforms in make_transforms(tiling.inputs, tiling.taps, tiling.outputs, tiling.tiles):
        image_spectra = _analyse(transforms.image_rows, transforms.image_columns, pixels)
        kernel_spectra = _analyse(transforms.kernel_rows, transforms.kernel_columns, taps)
        products = jnp.einsum("ftc,fco->fto", image_spectra, kernel_spectra)
        outputs.append(_synthesise(transforms.output_columns, transforms.output_rows, products))
    total = functools.reduce(jnp.add, outputs)
    joined = _join_tiles(total, images.shape[0], kernel.shape[-1], tiling)
    return joined[:, : out_size[0], : out_size[1]].astype(images.dtype)


def _phases(images, strides, size):
    """`[batch, *size, stride_height * stride_width * channels, ...]`, cut or filled with zeros."""
    full = (size[0] * strides[0], size[1] * strides[1])
    images = images[:, : full[0], : full[1]]
    batch, height, width, channels, *rest = images.shape
    missing = ((0, full[0] - height), (0, full[1] - width))
    images = jnp.pad(images, ((0, 0), *missing, (0, 0), *((0, 0) for _ in rest)))
    images = images.reshape(batch, size[0], strides[0], size[1], strides[1], channels, *rest)
    together = strides[0] * strides[1] * channels
    return jnp.swapaxes(images, 2, 3).reshape(batch, *size, together, *rest)


def _analyse(rows, columns, values):
    """`[height, width, n, channels]` to `[products, tiles * n, channels]` by `Transforms`."""
    # Sizes are written out, for -1 is not found where there is no image or a symbolic number.
    height, width, number, channels = values.shape
    frequencies, parts, tiles, _ = rows.shape
    products, column_tiles = columns.shape[:2]
    halfway = _dot(rows.reshape(-1, height), values.reshape(height, width * number * channels))
    halfway = halfway.reshape(frequencies, parts, tiles, width, number * channels).swapaxes(2, 3)
    spectra = _dot_each(
        columns.reshape(-1, parts * width),
        halfway.reshape(frequencies, parts * width, tiles * number * channels),
    )
    return spectra.reshape(frequencies * products, column_tiles * tiles * number, channels)


def _synthesise(columns, rows, products):
    """Back from products to `[tile_height, tile_width * tiles * n * channels]`."""
    frequencies, (_, tiles, channels) = rows.shape[1], products.shape
    matrices = columns.reshape(-1, columns.shape[-1])
    halfway = _dot_each(
        matrices, products.reshape(frequencies, columns.shape[-1], tiles * channels)
    )
    matrix = rows.reshape(len(rows), -1)
    positions = frequencies * len(matrices) // matrix.shape[1]
    return _dot(matrix, halfway.reshape(matrix.shape[1], positions * tiles * channels))


def _dot(matrix, values):
    """A constant matrix times the first axis."""
    return lax.dot(jnp.asarray(matrix, values.dtype), values, precision=lax.Precision.HIGHEST)


def _dot_each(matrix, values):
    """A constant matrix times the second axis."""
    # As many copies as there are products: contracted at once, all values would be transposed.
    matrices = jnp.broadcast_to(jnp.asarray(matrix, values.dtype), (len(values), *matrix.shape))
    return lax.dot_general(
        matrices, values, (((2,), (1,)), ((0,), (0,))), precision=lax.Precision.HIGHEST
    )


def _join_tiles(outputs, batch, channels, tiling):
    """Assembles the tiles to NHWC, with what hangs over the edge."""
    high, wide = tiling.outputs
    rows, columns = tiling.tiles
    outputs = outputs.reshape(high, wide, columns, rows, batch, channels)
    outputs = outputs.transpose(4, 3, 0, 2, 1, 5)
    return outputs.reshape(batch, rows * high, columns * wide, channels)
