"""Where objects sit in the images, how large and how oriented they are, and what that does.

Accuracy is measured in five equal shares of the test images, from those whose object is placed,
sized and slanted as in the training images of its class to those that are farthest from it (see
`evaluation.metrics.moments`). Distances are from stored training images before any augmentation;
where images are painted afresh in training, from the validation images, which are painted alike.

The place of objects is the same for every model: its spread is that of the test images about their
mean, and its details are all properties by split and class.
"""

from collections.abc import Iterator

import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.moments import Objects, card_details, distances, find_objects
from evaluation.model import Predict, predict_split
from evaluation.results.result import Result, mean, rate

SUITE = "data_card"
REQUIRES = ("images",)
_SHARES = 5
_MOST_CLASSES = 20  # as in the suite `confusions`


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """The spread of places, and accuracy over the distance from the training images.

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
    """The splits whose images are such as the model sees."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    painted = dataset.generator is not None or dataset.test.poses is not None
    if painted or dataset.train.images.shape[1:] != dataset.image_shape:
        del splits["train"]
    return splits


def _places(objects: dict[str, Objects], splits: dict[str, Split], classes: int) -> Result:
    found, test = objects["test"], splits["test"]
    offsets = np.hypot(found.x - found.x.mean(), found.y - found.y.mean())
    details: dict[str, float] = {}
    if classes <= _MOST_CLASSES:
        for name, split in splits.items():
            details |= card_details(name, objects[name], split.labels)
    return mean(
        SUITE,
        "distance from the mean place",
        offsets,
        test,
        unit="px",
        details=details,
        parameters={"object": "all light of an image", "place": "its centre of mass"},
    )


def _curve(hits: np.ndarray, far: np.ndarray, dataset: Dataset, reference: str) -> Iterator[Result]:
    """Accuracies from the nearest share to the farthest.

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
            "accuracy",
            hits[chosen],
            split,
            details={"median distance": float(np.median(far[chosen]))},
            condition="distance from training images",
            strength=float(number),
            axis="fifth of the images by distance (5: farthest)",
            parameters={
                "distance": "Mahalanobis, of place, width, height and slant, within classes",
                "from": f"{reference} images",
                "headline": float(_SHARES),
            },
        )
