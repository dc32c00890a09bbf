"""Agreement of one pass over a large image with a pass over each of its windows.

A convolutional network is a function of windows that shares its work between them (Sermanet et al.,
2014; Bertinetto et al., 2016): without padding, a layer's map of a large image has the map of every
window inside it, if the window begins at a multiple of the layer's stride. Padding breaks this, for
a window has edges where the large image goes on.

For models that name their `activations` and take images of any size there.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.equivariance import cumulative_strides, on_host, relative_distance
from evaluation.model import Activations, Predictor, predict_all
from evaluation.results.quantities import Metric, shares
from evaluation.results.result import Result, mean
from evaluation.statistics.intervals import NOT_NEGATIVE

REQUIRES = ("images", "activations")
PASSES = 1
DISTANCE_OF_WINDOWS = Metric(
    "distance of windows", "of the map", higher_is_better=False, bounds=NOT_NEGATIVE
)
_MAX_CANVASES = 25
_SIDE = 2  # images along each side of a canvas
# Rounding errors of float32, where the largest value of a map is 1.
_EPS = 1e-5
_LAST = "last layer"


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the distance of the windows' own maps from those inside the maps of canvases.

    A canvas has four test images, two by two; nine windows of the size of an image lie in it, at
    its corners, in its middle and between these, moved to multiples of the stride. There are 25
    canvases, or fewer where there are fewer images.

    Returns:
        For each layer, and for the last one once more by a common name, the mean over canvases.

    Raises:
        NotApplicable: for fewer than four images, and models without layers of a known stride.
    """
    assert predict.activations is not None  # as required
    shape = dataset.image_shape
    if len(dataset.test) < _SIDE**2:
        raise NotApplicable(f"{len(dataset.test)} test images do not fill a canvas of {_SIDE**2}")
    activations = on_host(predict.activations)
    strides = {
        name: stride
        for name, stride in cumulative_strides(activations, shape).items()
        if stride is not None
    }
    if not strides:
        raise NotApplicable("no layer of the model has a known stride")
    canvases, test = _canvases(dataset.test)
    found = predict_all(
        lambda images: compare(activations, strides, images, shape),
        canvases,
        batch_size=min(batch_size, len(canvases)),
        name="sliding_window",
    )
    return list(_results(found, strides, test))


def compare(
    activations: Activations,
    strides: Mapping[str, int],
    canvases: np.ndarray,
    window: tuple[int, ...],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compares the maps of windows with those inside the maps of canvases.

    Args:
        activations: Of the model.
        strides: Of its layers, in pixels.
        canvases: `[batch, height, width, channels]`.
        window: Height and width of the windows, and channels.

    Returns:
        By layer, each `[batch]`: the mean over windows of the distance, in lengths of the window's
        map, and the share of places where they differ.
    """
    dense = activations(canvases)
    step = math.lcm(*strides.values())
    found: dict[str, list] = {name: [] for name in strides}
    for top, left in _corners(canvases.shape[1:3], window, step):
        own = activations(canvases[:, top : top + window[0], left : left + window[1]])
        for name, stride in strides.items():
            height, width = own[name].shape[1:3]
            y, x = top // stride, left // stride
            inside = dense[name][:, y : y + height, x : x + width]
            found[name].append((relative_distance(inside, own[name]), _broken(inside, own[name])))
    return {
        name: (np.mean([each for each, _ in of], axis=0), np.mean([each for _, each in of], axis=0))
        for name, of in found.items()
    }


def _corners(
    size: tuple[int, ...], window: tuple[int, ...], step: int
) -> Iterator[tuple[int, int]]:
    """Places windows at the edges and halfway, on multiples of a step: first row and column."""
    rows, columns = (
        sorted({part * (whole - side) // 2 // step * step for part in range(3)})
        for whole, side in zip(size, window[:2], strict=True)
    )
    return ((row, column) for row in rows for column in columns)


def _broken(inside: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Measures the share of places where a channel differs by more than rounding, `[batch]`."""
    largest = np.max(np.abs(own), axis=(1, 2, 3), keepdims=True)
    return np.mean(np.any(np.abs(inside - own) > _EPS * largest, axis=3), axis=(1, 2))


def _canvases(split: Split) -> tuple[np.ndarray, Split]:
    """Joins images to `[count, 2 height, 2 width, channels]`; also returns the images in them."""
    count = min(len(split) // _SIDE**2, _MAX_CANVASES)
    test = split.sample(count * _SIDE**2)
    height, width, channels = test.images.shape[1:]
    grid = test.images.reshape(count, _SIDE, _SIDE, height, width, channels)
    return grid.swapaxes(2, 3).reshape(count, _SIDE * height, _SIDE * width, channels), test


def _results(
    found: Mapping[str, tuple[np.ndarray, np.ndarray]], strides: Mapping[str, int], test: Split
) -> Iterator[Result]:
    last = list(strides)[-1]
    for name, stride in strides.items():
        distances, broken = found[name]
        for condition in [f"{name}, stride {stride}"] + [_LAST] * (name == last):
            yield mean(
                "sliding_window",
                DISTANCE_OF_WINDOWS,
                distances,
                test,
                interval_method="bootstrap over canvases 95 %",
                details=shares(share_of_places_that_differ=float(np.mean(broken))),
                condition=condition,
                definition={"images in a canvas": _SIDE**2, "windows": "at its edges and halfway"},
            )
