"""Lie derivatives of layers: how far each is from moving along with an infinitesimal move.

A move of the plane in the direction of a vector field v changes an image at the rate -v . grad(x).
A layer F is equivariant if its map changes at the rate of the same field, so that the difference of
the two, its Lie derivative, is zero (Gruver et al., 2023, "The Lie derivative for measuring learned
equivariance", equation 2): dF(x)[-v . grad(x)] + v . grad(F(x)). Gradients are those of Fourier
series, as there; so whatever a layer adds beyond the Nyquist frequency of its map counts.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from evaluation.model import Activations

# Units of a generator, either way: less is lost to rounding, more meets more kinks of ReLU.
_STEP = 0.02

Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray | float, np.ndarray | float]]
"""From places (x, y), in pixels from the centre, to a velocity (x, y), in pixels."""


class Generator(NamedTuple):
    """A move of the plane at unit speed.

    Attributes:
        unit: What a move of one is, for tables.
        field: Its velocity at every place of the image.
    """

    unit: str
    field: Field


GENERATORS = (
    Generator("a pixel along x", lambda x, y: (1.0, 0.0)),
    Generator("a pixel along y", lambda x, y: (0.0, 1.0)),
    Generator("a degree", lambda x, y: (-y * np.pi / 180.0, x * np.pi / 180.0)),
    Generator("a percent of scale", lambda x, y: (x / 100.0, y / 100.0)),
    Generator("a percent of shear", lambda x, y: (y / 100.0, x / 100.0)),
)


def change(maps: np.ndarray, field: Field, stride: int = 1) -> np.ndarray:
    """Computes the rate at which maps change as they move along a field.

    Args:
        maps: `[batch, height, width, channels]`; taken as periodic, and centred on the image.
        field: Of an image.
        stride: Pixels between neighbouring places of the maps.

    Returns:
        -v . grad(maps), float64 in the shape of the maps.
    """
    height, width = maps.shape[1:3]
    y, x = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    along_x, along_y = field(stride * x[None, :], stride * y[:, None])
    moved = np.zeros(maps.shape)
    for axis, velocity in ((2, along_x), (1, along_y)):
        if np.any(velocity):
            rate = np.broadcast_to(np.asarray(velocity) / stride, (height, width))
            moved -= rate[..., None] * spectral_derivative(maps, axis)
    return moved


def spectral_derivative(maps: np.ndarray, axis: int) -> np.ndarray:
    """Computes the derivative of the Fourier series through samples, per sample.

    The series' term of the Nyquist frequency, a cosine, has no slope at the samples.

    Args:
        maps: Periodic along the axis.
        axis: Along which it is taken.
    """
    size = maps.shape[axis]
    frequencies = 2.0 * np.pi * np.fft.rfftfreq(size)
    if size % 2 == 0:
        frequencies[-1] = 0.0
    turned = np.moveaxis(np.fft.rfft(maps, axis=axis), axis, -1) * (1j * frequencies)
    return np.fft.irfft(np.moveaxis(turned, -1, axis), n=size, axis=axis)


def directional_derivatives(
    outputs: Activations, images: np.ndarray, field: Field
) -> dict[str, np.ndarray]:
    """Computes the rates at which a model's outputs change as its images move along a field.

    Differences of two passes, for a model need not be one that can be differentiated.

    Args:
        outputs: From images to outputs by name.
        images: `[batch, height, width, channels]` floats.
        field: Of the move.
    """
    step = _STEP * change(images, field)
    ahead, behind = (outputs((images + sign * step).astype(np.float32)) for sign in (1.0, -1.0))
    return {
        name: (np.asarray(ahead[name], np.float64) - behind[name]) / (2.0 * _STEP) for name in ahead
    }


def local_equivariance_errors(
    layers: Mapping[str, np.ndarray],
    rates: Mapping[str, np.ndarray],
    strides: Mapping[str, int | None],
    field: Field,
) -> dict[str, np.ndarray]:
    """Measures the Lie derivative of every layer, in lengths of its output.

    Args:
        layers: Outputs `[batch, ...]` by name.
        rates: See `directional_derivatives`.
        strides: Of the layers' maps, each channel of which is taken as a scalar field; None for
            those that are compared as vectors, which an equivariant layer leaves as they are.
        field: Of the move.

    Returns:
        `[batch]` by layer: 0 for a layer that moves along; 0 for one that has no length.
    """
    found = {}
    for name, stride in strides.items():
        layer = np.asarray(layers[name], np.float64)
        error = rates[name] - (change(layer, field, stride) if stride else 0.0)
        length = _length(layer)
        found[name] = np.divide(_length(error), length, out=np.zeros_like(length), where=length > 0)
    return found


def _length(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(len(values), -1)
    return np.sqrt(np.einsum("bi,bi->b", flat, flat))
