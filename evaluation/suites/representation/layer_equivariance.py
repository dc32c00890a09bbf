"""Equivariance, invariance and shiftability errors of every layer under shifts of the image.

Of each layer: the dependence of its sums on the phase of a shift (shiftability error), the distance
of its map from one that moves along (equivariance error), its change by a shift of a pixel in units
of its change by another image (invariance error), and the share of energy that every subsampling
folds onto lower frequencies.

The sums are of images in a blank frame, less those of a blank image. So no edge contributes to
them, whose place in a network that does not pad in circles changes with the shift: it would
outweigh subsampling, and layers of stride 1 would seem not to be shiftable.

For models that name their `activations`; all but the invariance error needs them to take images of
any size, from which the strides are found.
"""

import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.equivariance import (
    channel_sums,
    cumulative_strides,
    energy_above_nyquist,
    equivariance_error,
    on_host,
    relative_distance,
    shiftability_error,
)
from evaluation.model import Activations, Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.quantities import Metric
from evaluation.results.result import Result, mean
from evaluation.statistics.intervals import NOT_NEGATIVE

SUITE = "layer_equivariance"
REQUIRES = ("images", "activations")
PASSES = 5
SEVERAL_LABELS = True
SHIFTABILITY = Metric(
    "shiftability error", "of the sums", higher_is_better=False, bounds=NOT_NEGATIVE
)
EQUIVARIANCE = Metric(
    "equivariance error", "of the map", higher_is_better=False, bounds=NOT_NEGATIVE
)
# A layer has to change with the image, too: the most invariant one is constant.
INVARIANCE = Metric("invariance error", "of a random pair", bounds=NOT_NEGATIVE)
ENERGY = Metric("energy above Nyquist", higher_is_better=False)
_CONTROL = "random pair"
_LAST = "last layer"
_IMAGES = 100
# Framed feature maps of more images at once take gigabytes in wide networks.
_MAX_BATCH = 25
# Blank pixels on each side: more than a digit's distance to the edge, and most receptive fields.
_FRAME = 24

Strides = Mapping[str, int | None]
Numbers = dict[tuple[str, str], np.ndarray]
"""Measured values of each image, by name of the metric, or control, and layer."""


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures all layers under circular shifts of 100 test images, or all if there are fewer.

    Returns:
        Results of each layer and of the last one once more by a common name, for that is where
        models can be compared.

    Raises:
        NotApplicable: for a single image.
    """
    assert predict.activations is not None  # as required
    if len(dataset.test) < 2:
        raise NotApplicable("a single image has no other one to be compared with")
    activations = on_host(predict.activations)
    test = dataset.test.sample(_IMAGES)
    strides = cumulative_strides(activations, dataset.image_shape)
    numbers = predict_all(
        lambda pairs: measure(activations, strides, pairs),
        np.stack([test.images, test.images[_partners(len(test))]], axis=1),
        batch_size=min(batch_size, len(test), _MAX_BATCH),
        name=SUITE,
    )
    return list(_results(numbers, strides, test))


def measure(activations: Activations, strides: Strides, pairs: np.ndarray) -> Numbers:
    """Measures layers on a batch of images.

    Args:
        activations: Of the model.
        strides: Of its layers.
        pairs: `[batch, 2, height, width, channels]`, the images, and another for each.
    """
    images, layers = pairs[:, 0], activations(pairs[:, 0])
    found = {
        (_CONTROL, name): relative_distance(other, layers[name])
        for name, other in activations(pairs[:, 1]).items()
    }
    found |= {
        (ENERGY.name, after): energy_above_nyquist(layers[before], factor)
        for before, after, factor in _subsamplings(strides)
    }
    found |= _shiftability(activations, strides, images)
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    steps = {1, *(stride for stride in strides.values() if stride)}
    for x, y in [shift for step in sorted(steps) for shift in ((step, 0), (0, step))]:
        moved = activations(np.roll(images, (y, x), (1, 2)))
        for name, stride in strides.items():
            if x + y == 1:
                distance = relative_distance(moved[name], layers[name])
                errors.setdefault((INVARIANCE.name, name), []).append(distance)
            if x + y == stride:
                error = equivariance_error(moved[name], layers[name], axis=2 if x else 1)
                errors.setdefault((EQUIVARIANCE.name, name), []).append(error)
    return found | {key: np.mean(both, axis=0) for key, both in errors.items()}


def _shiftability(activations: Activations, strides: Strides, images: np.ndarray) -> Numbers:
    """Measures all maps over every phase of the whole network, whose stride theirs divide."""
    known = {name: stride for name, stride in strides.items() if stride}
    if not known:
        return {}
    margin = (_FRAME, _FRAME)
    framed = np.pad(images, ((0, 0), margin, margin, (0, 0)))
    blank = activations(np.zeros_like(framed[:1]))
    sums: dict[str, list[np.ndarray]] = {name: [] for name in known}
    phases = range(math.lcm(*known.values()))
    for x, y in itertools.product(phases, phases):
        moved = activations(np.roll(framed, (y, x), (1, 2)))
        for name in known:
            sums[name].append(channel_sums(moved[name]) - channel_sums(blank[name]))
    return {
        (SHIFTABILITY.name, name): shiftability_error(np.array(of)) for name, of in sums.items()
    }


def _subsamplings(strides: Strides) -> Iterator[tuple[str, str, int]]:
    """Finds the layer before, the layer behind and the factor of every subsampling."""
    for (before, fine), (after, coarse) in itertools.pairwise(strides.items()):
        if fine and coarse and coarse > fine and coarse % fine == 0:
            yield before, after, coarse // fine


def _partners(count: int) -> np.ndarray:
    """Draws another image for each at random, whatever the order of the data."""
    order = np.random.default_rng(SEED).permutation(count)
    partners = np.empty(count, int)
    partners[order] = np.roll(order, 1)
    return partners


def _results(numbers: Numbers, strides: Strides, test: Split) -> Iterator[Result]:
    conditions = {name: f"{name}, stride {stride}" for name, stride in strides.items() if stride}
    last = list(strides)[-1]
    for name in strides:
        for condition in [conditions.get(name, name)] + [_LAST] * (name == last):
            for metric in (SHIFTABILITY, EQUIVARIANCE):
                if (metric.name, name) in numbers:
                    yield _mean(metric, condition, numbers[metric.name, name], test)
            changes, control = (numbers[each, name] for each in (INVARIANCE.name, _CONTROL))
            yield _invariance(condition, changes, control, test)
    for _, after, factor in _subsamplings(strides):
        energy = numbers[ENERGY.name, after]
        yield _mean(ENERGY, f"before {after}, by {factor}", energy, test)


def _invariance(condition: str, changes: np.ndarray, control: np.ndarray, test: Split) -> Result:
    """Divides the change by a pixel by the mean change by another image."""
    unit = float(np.mean(control))
    flags = () if unit else ("this layer is the same for every image",)
    return _mean(INVARIANCE, condition, changes / (unit or 1.0), test, flags)


def _mean(
    metric: Metric, condition: str, outcomes: np.ndarray, test: Split, flags: tuple[str, ...] = ()
) -> Result:
    return mean(
        SUITE,
        metric,
        outcomes,
        test,
        condition=condition,
        definition={"shifts": "circular", "seed": SEED, "blank frame, pixels": _FRAME},
        flags=flags,
    )
