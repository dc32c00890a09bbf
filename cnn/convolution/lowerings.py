"""Choice of the fastest lowering of a convolution for a shape on a backend, by a cost model.

The costs are those of a training step, forward and both gradients, each of which does the same
work. They count multiplications and the numbers that go through memory, and weigh the two by what
processors were measured to do; `python -m benchmarks.convolutions` checks the choices.
"""

import dataclasses
import functools
import math

from cnn.convolution.fourier import Tiling, make_tiling

Pair = tuple[int, int]

NAMES = ("native", "patches", "fourier")
# Multiplications that take as long as writing one number to memory and reading it again.
_MULTIPLICATIONS_PER_MOVE = 20
# Patches are laid out, and their gradient is folded up again.
_MOVES_FOR_DERIVATIVES = 2
# A product of matrices with a short side does not come nearer to a processor's peak than this.
_SHORT_SIDE = 16
_LARGEST_TILE = 32
# Stands for a symbolic number of images, so that one exported program serves every batch.
TYPICAL_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Layer:
    """The shape of one convolution.

    Attributes:
        batch: Images; `TYPICAL_BATCH` where their number is not known.
        out_size: Height and width of the output.
        kernel_size: Height and width of the kernel.
        strides: Steps along height and width.
        in_channels: Of the images.
        out_channels: Of the output.
    """

    batch: int
    out_size: Pair
    kernel_size: Pair
    strides: Pair
    in_channels: int
    out_channels: int


def choose(layer: Layer, backend: str) -> str:
    """The lowering where derivatives are taken: "native" but on CPUs, there the cheaper other one.

    XLA's own convolution is not among those weighed on CPUs: the gradients of large ones take an
    order of magnitude longer there, those of small ones as long as patches.
    """
    return _cheaper(layer, backend, _MOVES_FOR_DERIVATIVES)


def choose_for_values(layer: Layer, backend: str) -> str:
    """The lowering where only values are wanted: "native" instead of patches that overlap.

    It does not lay them out, which is most of the work where channels are few.
    """
    chosen = _cheaper(layer, backend, moves=1)
    overlap = layer.kernel_size != (1, 1) and layer.out_size != (1, 1)
    return "native" if chosen == "patches" and overlap else chosen


@functools.cache
def best_tiling(layer: Layer) -> Tiling:
    """The tiles with which the Fourier lowering is the cheapest."""
    largest = min(max(layer.out_size), _LARGEST_TILE)
    candidates = (
        make_tiling(layer.out_size, layer.kernel_size, layer.strides, outputs)
        for outputs in range(1, largest + 1)
    )
    return min(candidates, key=lambda tiling: _fourier_cost(layer, tiling))


def _cheaper(layer: Layer, backend: str, moves: int) -> str:
    """On CPUs the cheaper of spectra and of patches whose numbers are moved so many times."""
    if backend != "cpu":
        return "native"
    spectra = _fourier_cost(layer, best_tiling(layer))
    return "fourier" if spectra < _patches_cost(layer, moves) else "patches"


def _patches_cost(layer: Layer, moves: int) -> int:
    rows = layer.batch * math.prod(layer.out_size)
    inner = math.prod(layer.kernel_size) * layer.in_channels
    moved = moves * _MULTIPLICATIONS_PER_MOVE * rows * inner
    return _product_cost(1, rows, inner, layer.out_channels) + moved


def _fourier_cost(layer: Layer, tiling: Tiling) -> int:
    inner = math.prod(layer.strides) * layer.in_channels
    high = tiling.inputs[0]
    images = layer.batch * math.prod(tiling.tiles)
    # For each frequency of the height; its number has two components almost everywhere.
    frequencies = (high + 1) // 2
    products = tiling.products // frequencies

    return (
        _product_cost(tiling.products, images, inner, layer.out_channels)
        + _analysis_cost(tiling, tiling.tiles, tiling.covered, layer.batch * inner)
        + _analysis_cost(tiling, (1, 1), tiling.taps, inner * layer.out_channels)
        + _product_cost(frequencies, 2 * tiling.outputs[1], products, images * layer.out_channels)
        + _product_cost(1, tiling.outputs[0], high, tiling.outputs[1] * images * layer.out_channels)
    )


def _analysis_cost(tiling: Tiling, tiles: Pair, pixels: Pair, values: int) -> int:
    """Cost of the transforms of so many values a pixel, along both axes."""
    high = tiling.inputs[0]
    frequencies = (high + 1) // 2
    columns = tiles[1] * (tiling.products // frequencies)
    return _product_cost(1, tiles[0] * high, pixels[0], pixels[1] * values) + _product_cost(
        frequencies, columns, 2 * pixels[1], tiles[0] * values
    )


def _product_cost(count: int, rows: int, inner: int, columns: int) -> int:
    """Cost of `count` products [rows, inner] x [inner, columns], in multiplications."""
    sides = (max(side, _SHORT_SIDE) for side in (rows, inner, columns))
    moved = rows * inner + inner * columns + rows * columns
    return count * (math.prod(sides) + _MULTIPLICATIONS_PER_MOVE * moved)
