"""Equivariance error of every layer, and change of the probabilities, under infinitesimal moves.

The Lie derivative of Gruver et al. (2023) along shifts, rotation, scaling and shear: of each layer,
the length of the difference between the change of its map and the map's own move, in lengths of the
map; of the model's probabilities, half the sum of their absolute changes (total variation), a rate
of change and no share: it can exceed 1. Both are for a move of one unit: a pixel, a degree, a
percent.

Channels are taken as scalar fields. Those of a group convolution turn into each other as the image
is rotated, so that its maps show an error which pooling over the group ends. Layers whose stride
cannot be found (vectors, and all of a model that takes images of one size) are compared as vectors.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from data.dataset import Dataset, Split
from evaluation.metrics.equivariance import cumulative_strides, on_host
from evaluation.metrics.lie_derivative import (
    GENERATORS,
    directional_derivatives,
    local_equivariance_errors,
)
from evaluation.model import (
    Predict,
    Predictor,
    as_predictor,
    predict_all,
    probability_field,
    to_probabilities,
)
from evaluation.results.quantities import Metric
from evaluation.results.result import Result, mean
from evaluation.statistics.intervals import NOT_NEGATIVE

SUITE = "lie_derivative"
REQUIRES = ("images",)
PASSES = 5
EQUIVARIANCE = Metric(
    "local equivariance error", "of the layer", higher_is_better=False, bounds=NOT_NEGATIVE
)
# A model that always predicts the same does not change either: read with the accuracy.
CHANGE = Metric(
    "local change of probabilities",
    "total variation",
    higher_is_better=False,
    bounds=NOT_NEGATIVE,
)
_LAST = "last layer"
# Beside the layers; none of them has this name.
_PROBABILITIES = ""
_IMAGES = 100
# Feature maps of wide networks and their Fourier series in float64 take gigabytes for more.
_MAX_BATCH = 25

Numbers = Mapping[tuple[str, str], np.ndarray]
"""Measured values of each image, by a generator's unit and a layer."""


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures 100 test images, or all if there are fewer.

    Returns:
        Results of the probabilities and of each layer under each generator, and of the last layer
        once more by a common name, for that is where models can be compared.
    """
    model, test = as_predictor(predict), dataset.test.sample(_IMAGES)
    strides = _strides(model, dataset)
    numbers = predict_all(
        lambda images: _measure(model, strides, images),
        test.images,
        batch_size=min(batch_size, len(test), _MAX_BATCH),
        name=SUITE,
    )
    return list(_results(numbers, list(strides), test))


def _strides(model: Predictor, dataset: Dataset) -> dict[str, int | None]:
    """Finds the strides of a model's layers; none of one that names no layers."""
    if model.activations is None:
        return {}
    return cumulative_strides(on_host(model.activations), dataset.image_shape)


def _measure(
    model: Predictor, strides: Mapping[str, int | None], images: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Measures all generators on a batch of images."""
    field = probability_field(model)
    layers = on_host(model.activations) if model.activations is not None else lambda images: {}

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        values = np.asarray(model.outputs(images, field)[field])
        return {_PROBABILITIES: to_probabilities(field, values), **layers(images)}

    images, found = np.asarray(images, np.float32), {}
    clean = outputs(images)
    for unit, move in GENERATORS:
        rates = directional_derivatives(outputs, images, move)
        # Total variation.
        found[unit, _PROBABILITIES] = 0.5 * np.sum(np.abs(rates[_PROBABILITIES]), axis=-1)
        errors = local_equivariance_errors(clean, rates, strides, move)
        found |= {(unit, name): error for name, error in errors.items()}
    return found


def _results(numbers: Numbers, layers: list[str], test: Split) -> Iterator[Result]:
    for generator in GENERATORS:
        change = numbers[generator.unit, _PROBABILITIES]
        yield mean(SUITE, CHANGE, change, test, condition=generator.unit)
        for name in layers:
            for shown in [name] + [_LAST] * (name == layers[-1]):
                error = numbers[generator.unit, name]
                yield mean(SUITE, EQUIVARIANCE, error, test, condition=f"{generator.unit}: {shown}")
