"""Place, size and orientation of objects, and accuracy by their distance from training images.

Accuracy is measured in five equal shares of the test images, from those whose object is placed,
sized and slanted as in the training images of its class to those that are farthest from it (see
`evaluation.metrics.moments`). Distances are from stored training images before any augmentation;
where images are rendered anew in training, from the validation images, which are rendered alike.

The place of objects is the same for every model: its spread is that of the test images about their
mean, with the statistics of every split and class.
"""

from collections.abc import Iterator

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.classification import ACCURACY, MAX_DRAWN_CLASSES
from evaluation.metrics.moments import Objects, distances, find_objects, object_statistics
from evaluation.model import Predict, predict_split
from evaluation.results.quantities import Axis, Detail, Metric
from evaluation.results.result import Result, mean, rate
from evaluation.statistics.intervals import NOT_NEGATIVE

SUITE = "object_statistics"
REQUIRES = ("images",)
PASSES = 1
# A property of the data: no model is better for it.
DISTANCE = Metric("distance from the mean place", "px", bounds=NOT_NEGATIVE)
_SHARES = 5
FIFTH = Axis("fifth of the images by distance (5: farthest)", headline=float(_SHARES))


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the spread of places, and accuracy by the distance from the training images.

    Raises:
        NotApplicable: for fewer than five test images.
    """
    test = dataset.test
    if len(test) < _SHARES:
        raise NotApplicable(f"{len(test)} test images are fewer than {_SHARES}")
    splits = _splits(dataset)
    objects = {name: find_objects(split.images) for name, split in splits.items()}
    found = predict_split(predict, test, "logits", batch_size=batch_size, name=SUITE)
    hits = np.argmax(found["logits"], axis=-1) == test.labels
    reference = "train" if "train" in splits else "validation"
    usual = (objects[reference], splits[reference].labels)
    far = distances(objects["test"], test.labels, *usual)
    return [
        _places(objects, splits, dataset.num_classes),
        *_curve(hits, far, dataset, reference),
    ]


def _splits(dataset: Dataset) -> dict[str, Split]:
    """Chooses the splits whose images are like the inputs of the model."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    if dataset.is_rendered or dataset.train.images.shape[1:] != dataset.image_shape:
        del splits["train"]
    return splits


def _places(objects: dict[str, Objects], splits: dict[str, Split], classes: int) -> Result:
    found, test = objects["test"], splits["test"]
    offsets = np.hypot(found.x - found.x.mean(), found.y - found.y.mean())
    drawn = splits if classes <= MAX_DRAWN_CLASSES else {}
    return mean(
        SUITE,
        DISTANCE,
        offsets,
        test,
        definition={"object": "all light of an image", "place": "its centre of mass"},
        artifacts=tuple(
            object_statistics(name, objects[name], split.labels, classes)
            for name, split in drawn.items()
        ),
    )


def _curve(hits: np.ndarray, far: np.ndarray, dataset: Dataset, reference: str) -> Iterator[Result]:
    """Measures accuracy from the nearest share to the farthest.

    The shares are equally large, so that their images can be drawn anew together; what remains of
    the division is left out of the nearest.
    """
    order = np.argsort(far, kind="stable")
    shares = np.split(order[len(order) % _SHARES :], _SHARES)
    for number, chosen in enumerate(shares, start=1):
        chosen = np.sort(chosen)
        split = Split(dataset.test.images[chosen], dataset.test.labels[chosen])
        yield rate(
            SUITE,
            ACCURACY,
            hits[chosen],
            split,
            details={
                "median distance": Detail(float(np.median(far[chosen])), "standard deviations")
            },
            condition="distance from training images",
            strength=float(number),
            axis=FIFTH,
            chance=1.0 / dataset.num_classes,
            definition={
                "distance": "Mahalanobis, of place, width, height and slant, within classes",
                "from": f"{reference} images",
            },
        )
