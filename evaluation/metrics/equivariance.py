"""Equivariance, invariance and shiftability of feature maps under shifts of the image.

Convolutions move with the image, which is equivariance; subsampling keeps only the shifts by
multiples of its stride. A map is shiftable if its sum over all places does not depend on where the
image lies between two of these (Simoncelli et al., 1992; Azulay and Weiss, 2019), and invariant if
it does not change at all. Maps are `[batch, height, width, channels]`; every number is of each
image.
"""

from collections.abc import Sequence

import numpy as np

from evaluation.model import Activations

# Pixels by which an image grows to count the places that a map grows by; most strides divide it.
_GROWTH = 48


def on_host(activations: Activations) -> Activations:
    """Converts layers to NumPy arrays, for a custom model may return others."""

    def as_arrays(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.asarray(each, np.float32) for name, each in activations(images).items()}

    return as_arrays


def cumulative_strides(
    activations: Activations, image_shape: tuple[int, ...]
) -> dict[str, int | None]:
    """Finds the pixels of the image between neighbouring places of each map.

    A larger image shows them, whatever the padding: 48 pixels more are 48 / stride places more.

    Args:
        activations: Of a model.
        image_shape: Height, width and channels of its images.

    Returns:
        By layer; None for vectors, for maps that do not grow with the image, and for all layers of
        a model that takes images of one size only.
    """
    height, width, channels = image_shape
    small = activations(np.zeros((1, height, width, channels), np.float32))
    try:
        large = activations(np.zeros((1, height + _GROWTH, width + _GROWTH, channels), np.float32))
    except Exception:  # a custom model may raise anything for an image of another size
        return dict.fromkeys(small)
    return {name: _stride(small[name].shape, large[name].shape) for name in small}


def _stride(small: Sequence[int], large: Sequence[int]) -> int | None:
    if len(small) != 4:
        return None
    growth = {after - before for before, after in zip(small[1:3], large[1:3], strict=True)}
    places = growth.pop()
    if growth or places <= 0 or _GROWTH % places:
        return None
    return _GROWTH // places


def channel_sums(features: np.ndarray) -> np.ndarray:
    """Sums each channel over all places, `[batch, channels]`."""
    return np.asarray(np.sum(features, axis=(1, 2), dtype=np.float64))


def shiftability_error(sums: np.ndarray) -> np.ndarray:
    """Measures the dependence of the sums of a map's channels on the phase of a shift.

    Channels count by their energy, for the relative change of one that is all but dead is huge and
    means nothing.

    Args:
        sums: `[phases, batch, channels]`, the `channel_sums` at every phase of the stride; of
            layers with a bias, what they have over those of a blank image.

    Returns:
        `[batch]`: root of the sum over channels of the variance over phases, by the root of the
        sum over channels of the squared mean over phases; 0 for a map of zeros.
    """
    spread = np.sqrt(np.sum(np.var(sums, axis=0), axis=-1))
    return _ratio(spread, np.sqrt(np.sum(np.mean(sums, axis=0) ** 2, axis=-1)))


def relative_distance(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Measures the Euclidean distance of layers' outputs, in lengths of the second.

    Args:
        features: `[batch, ...]`.
        reference: Likewise.

    Returns:
        `[batch]`, 0 if the second has no length; of a moved image and the image itself this is the
        invariance error.
    """
    return _ratio(_norm(np.subtract(features, reference, dtype=np.float32)), _norm(reference))


def equivariance_error(moved: np.ndarray, features: np.ndarray, axis: int) -> np.ndarray:
    """Measures the distance of the map of a moved image from the moved map of the image.

    The moved map is known exactly where the shift is a multiple of the stride, in all places but
    the first ones, whose content the shift brought in; they are left out.

    Args:
        moved: Map of the images moved by one stride.
        features: Map of the images.
        axis: 1 if they were moved down, 2 if to the right.

    Returns:
        `[batch]`, in lengths of the map; 0 if it has none.
    """
    places = features.shape[axis]
    arrived = np.take(moved, range(1, places), axis)
    left = np.take(features, range(places - 1), axis)
    return _ratio(_norm(np.subtract(arrived, left, dtype=np.float32)), _norm(features))


def energy_above_nyquist(features: np.ndarray, factor: int) -> np.ndarray:
    """Measures the share of a map's energy that subsampling folds onto lower frequencies.

    Args:
        features: The map that is subsampled.
        factor: Of the subsampling, along both axes.

    Returns:
        `[batch]`: energy at frequencies above 1 / (2 factor) per place along either axis, of all
        energy but that of the channels' means; 0 for a map that does not vary.
    """
    varying = features - np.mean(features, axis=(1, 2), keepdims=True, dtype=np.float64)
    energy = np.sum(np.abs(np.fft.fft2(varying, axes=(1, 2))) ** 2, axis=-1)
    rows, columns = (np.abs(np.fft.fftfreq(size)) for size in features.shape[1:3])
    above = np.maximum(rows[:, None], columns) > 1 / (2 * factor) + 1e-9
    return _ratio(np.sum(energy * above, axis=(1, 2)), np.sum(energy, axis=(1, 2)))


def _norm(values: np.ndarray) -> np.ndarray:
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    return np.sqrt(np.einsum("bi,bi->b", flat, flat))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
