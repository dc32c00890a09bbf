"""The constant matrices with which `cnn.convolution.fourier` goes to spectra and back.

The correlation theorem: the spectrum of the outputs is that of the image times the conjugate of
the kernel's. With a + bi from the image and c + di from the conjugate, the three real products are
ac, bd and (a + b)(c + d), and (a + bi)(c + di) = (ac - bd) + ((a + b)(c + d) - ac - bd) i.

Waves are `[frequencies, positions]`. Those of frequency 0 and, if the size is even, of half the
size are real; the others come in conjugate pairs, and of an axis with real values one of each pair
is enough.
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
Waves = NDArray[np.complex128]


class Transforms(NamedTuple):
    """Constant matrices for some frequencies of the height with all that they need of the width.

    A frequency of the height leaves a number with `parts` real components in every column: one
    if its wave is real, else two. The frequencies of the width make real `products` of them.

    Attributes:
        image_rows: `[frequencies, parts, row_tiles, height]`.
        image_columns: `[products, column_tiles, parts, width]`.
        kernel_rows: `[frequencies, parts, 1, taps]`.
        kernel_columns: `[products, 1, parts, taps]`.
        output_columns: `[parts, tile_width, products]`.
        output_rows: `[tile_height, frequencies, parts]`.
    """

    image_rows: np.ndarray
    image_columns: np.ndarray
    kernel_rows: np.ndarray
    kernel_columns: np.ndarray
    output_columns: np.ndarray
    output_rows: np.ndarray


@functools.cache
def make_transforms(inputs: Pair, taps: Pair, outputs: Pair, tiles: Pair) -> tuple[Transforms, ...]:
    """All matrices, first for the height's frequencies with real waves, then for the others.

    Args:
        inputs: Height and width of the transform, in pixels.
        taps: Of the kernel.
        outputs: Pixels of a tile of the output.
        tiles: Of an image; their inputs overlap by `inputs - outputs` pixels.
    """
    image_waves = [_waves(size, size).conj() for size in inputs]
    kernel_waves = [_waves(*lengths) for lengths in zip(inputs, taps, strict=True)]
    output_waves = [_waves(*lengths) / lengths[0] for lengths in zip(inputs, outputs, strict=True)]
    transforms = []
    for forth, back in ((_real_forth, _real_back), (_paired_forth, _paired_back)):
        image_rows, image_columns = forth(*image_waves)
        kernel_rows, kernel_columns = forth(*kernel_waves)
        transforms.append(
            Transforms(
                _tiled(image_rows, tiles[0], outputs[0]),
                _tiled(image_columns, tiles[1], outputs[1]).swapaxes(1, 2),
                kernel_rows[:, :, None],
                kernel_columns[:, None],
                *back(*output_waves),
            )
        )
    return tuple(each for each in transforms if each.image_rows.size)


def _waves(size: int, length: int) -> Waves:
    """`[frequencies, positions]`, e^(2 pi i frequency position / size)."""
    return np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(length)) / size)


def _tiled(matrix: np.ndarray, tiles: int, step: int) -> np.ndarray:
    """`[..., size]` to `[..., tiles, pixels]`, at `step` pixels from tile to tile."""
    size = matrix.shape[-1]
    result = np.zeros((*matrix.shape[:-1], tiles, (tiles - 1) * step + size))
    for tile in range(tiles):
        result[..., tile, tile * step : tile * step + size] = matrix
    return result


def _real_forth(high: Waves, wide: Waves) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[frequencies, 1, height]` and columns `[products, 1, width]`."""
    columns = np.concatenate([_real(wide), _factors(_one_of_each_pair(wide))])
    return _real(high)[:, None], columns[:, None]


def _paired_forth(high: Waves, wide: Waves) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[frequencies, 2, height]` and columns `[products, 2, width]`."""
    pairs = _one_of_each_pair(high)
    columns = np.stack([_factors(wide), _factors(1j * wide)], axis=1)
    return np.stack([pairs.real, pairs.imag], axis=1), columns


def _real_back(high: Waves, wide: Waves) -> tuple[np.ndarray, np.ndarray]:
    """Columns `[1, width, products]` and rows `[height, frequencies, 1]`."""
    # A conjugate pair adds up to twice the real part of one.
    columns = np.concatenate([_real(wide), 2 * _from_products(_one_of_each_pair(wide)).real])
    return columns.T[None], _real(high).T[..., None]


def _paired_back(high: Waves, wide: Waves) -> tuple[np.ndarray, np.ndarray]:
    """Columns `[2, width, products]` and rows `[height, frequencies, 2]`."""
    columns, pairs = _from_products(wide).T, 2 * _one_of_each_pair(high).T
    return np.stack([columns.real, columns.imag]), np.stack([pairs.real, -pairs.imag], axis=-1)


def _real(waves: Waves) -> np.ndarray:
    size = len(waves)
    return waves[:: size // 2 if size % 2 == 0 else size].real


def _one_of_each_pair(waves: Waves) -> Waves:
    return waves[1 : (len(waves) + 1) // 2]


def _factors(waves: Waves) -> np.ndarray:
    """a, b and a + b of values times waves."""
    return np.concatenate([waves.real, waves.imag, waves.real + waves.imag])


def _from_products(waves: Waves) -> Waves:
    """Contributions of the three products to their complex sum times waves."""
    return np.concatenate([waves * (1 - 1j), waves * (-1 - 1j), waves * 1j])
