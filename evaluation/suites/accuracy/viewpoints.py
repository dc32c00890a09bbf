"""Accuracy from viewpoints that training showed, and from novel ones.

For images of `data.tasks.viewpoints`: test toys from familiar azimuths and elevations, and the same
toys from all others. Hinton, Sabour and Frosst (2018), section 5.1, compare networks from novel
viewpoints when they are equally accurate from familiar ones (`--match_accuracy`). Where training
had all viewpoints there is one condition.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.classification import ACCURACY, chance_of
from evaluation.metrics.classification import hits as right
from evaluation.model import Predict, predict_split
from evaluation.results.quantities import Detail
from evaluation.results.result import Result, rate

REQUIRES = ("images",)
PASSES = 3
SUITE = "viewpoints"
FAMILIAR, NOVEL = "familiar viewpoints", "novel viewpoints"
FACTORS = ("azimuth", "elevation")


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures both accuracies, with that at each azimuth and at each elevation.

    Raises:
        NotApplicable: for images whose viewpoints are not known.
    """
    if not set(FACTORS) <= set(dataset.test.factors):
        raise NotApplicable(f"viewpoints of the images of {dataset.name} are not known")
    results = []
    for condition, split in _conditions(dataset):
        found = predict_split(predict, split, "logits", batch_size=batch_size, name=condition)
        hits = right(found["logits"], split.labels)
        results.append(
            rate(
                SUITE,
                ACCURACY,
                hits,
                split,
                condition=condition,
                details=dict(_at_each(hits, split.factors)),
                chance=chance_of(dataset),
            )
        )
    return results


def _conditions(dataset: Dataset) -> Iterator[tuple[str, Split]]:
    yield FAMILIAR, dataset.test
    if dataset.novel is not None:
        yield NOVEL, dataset.novel


def _at_each(hits: np.ndarray, factors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Detail]]:
    """Accuracies at each value of a factor, with their names."""
    for name in FACTORS:
        for value in np.unique(factors[name]):
            share = float(np.mean(hits[factors[name] == value]))
            yield f"{name} {value} degrees", Detail(share)


def scenes(dataset: Dataset, count: int) -> dict[str, np.ndarray]:
    """The first test images from familiar and from novel viewpoints; none of other images."""
    if not set(FACTORS) <= set(dataset.test.factors):
        return {}
    return {
        condition: split.images[:count] / np.float32(255.0)
        for condition, split in _conditions(dataset)
    }
