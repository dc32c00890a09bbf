"""Reconstructions of objects that overlap in an image, each by itself, in numbers and pictures."""

import pathlib

import numpy as np

from data.dataset import Split
from evaluation import panels
from evaluation.metrics.classification import predictions

FIELD = "class_reconstructions"
"""Of the output (see `cnn.Output`), from which an object's reconstruction is read."""


def has_objects(split: Split) -> bool:
    """True of images of several objects, each of which is known by itself."""
    return split.labels_per_image > 1 and split.objects is not None


def reconstructions_of(reconstructions: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Picks the reconstructions of some classes of each image.

    Args:
        reconstructions: `[count, classes, height, width, channels]`, of all classes.
        classes: `[count, objects]`.

    Returns:
        `[count, objects, height, width, channels]`.
    """
    return reconstructions[np.arange(len(classes))[:, None], classes]


def errors(reconstructions: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Computes summed squared errors of each reconstruction against each object of its image.

    Args:
        reconstructions: `[count, objects, height, width, channels]`, in [0, 1].
        objects: As many images of single objects, uint8.

    Returns:
        `[count, objects, objects]`: by reconstruction, then by the object that it is compared with.
    """
    targets = objects / np.float32(255.0)
    differences = reconstructions[:, :, None] - targets[:, None]
    return np.sum(np.square(differences), axis=(3, 4, 5))


def own_errors(reconstructions: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Measures the reconstructions of the classes that images show.

    Args:
        reconstructions: `[count, classes, height, width, channels]`.
        split: The images, which are as many.

    Returns:
        `[count, objects]` each: summed squared errors against the object of the same class, and
        True where no other object of the image is as close.
    """
    assert split.objects is not None
    found = errors(reconstructions_of(reconstructions, split.labels), split.objects)
    own = np.diagonal(found, axis1=1, axis2=2)
    others = np.where(np.eye(own.shape[1], dtype=bool), np.inf, found)
    return own, own < others.min(axis=2)


def measure(reconstructions: np.ndarray, split: Split) -> dict[str, float]:
    """Computes means over the first images of a split.

    Args:
        reconstructions: Of these images, `[count, classes, height, width, channels]`.
        split: These images, or more.

    Returns:
        The squared error of an image, summed over its objects, and the share of objects that are
        closer to their reconstruction than the others of the image are.
    """
    own, separated = own_errors(reconstructions, split.take(slice(len(reconstructions))))
    return {
        "reconstruction_error": float(np.mean(own.sum(axis=1))),
        "separated": float(np.mean(separated)),
    }


def overlay(objects: np.ndarray) -> np.ndarray:
    """Lays the objects of an image over each other: the first in red, the second in green.

    Args:
        objects: `[..., objects, height, width, channels]` in [0, 1]; a third one would be blue.

    Returns:
        `[..., height, width, 3]`; where the first two overlap it is yellow.
    """
    grey = np.moveaxis(np.mean(objects, axis=-1), -3, -1)
    missing = 3 - grey.shape[-1]
    return np.pad(grey, [*[(0, 0)] * (grey.ndim - 1), (0, missing)])


def predicted_in_order(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The predicted classes of each image, right ones in the places of their labels.

    Args:
        logits: `[count, classes]`.
        labels: `[count, objects]`.
    """
    found = labels.copy()
    for row, predicted in zip(found, predictions(logits, labels.shape[1]), strict=True):
        row[~np.isin(row, predicted)] = predicted[~np.isin(predicted, row)]
    return found


def draw(path: pathlib.Path, shown: Split, reconstructions: np.ndarray, logits: np.ndarray) -> None:
    """Draws images above their objects, and these above the reconstructions of what is predicted.

    Objects of one image have colours of their own (see `overlay`), as in figure 5 of Sabour et al.
    (2017); a wrong prediction has the colour of the object that it was taken in place of.

    Args:
        path: PNG file; its folder is made.
        shown: The images, with their objects.
        reconstructions: Of these images, or of more, `[count, classes, height, width, channels]`.
        logits: Likewise, `[count, classes]`.
    """
    assert shown.objects is not None
    classes = predicted_in_order(logits[: len(shown)], shown.labels)
    decoded = overlay(reconstructions_of(reconstructions[: len(shown)], classes))
    objects = overlay(shown.objects / 255.0)
    figure, axes = panels.make(len(shown), 3)
    for column, image in enumerate(shown.images):
        panels.show(axes[0, column], image / 255.0)
        panels.show(axes[1, column], objects[column])
        panels.show(axes[2, column], decoded[column])
        for row, given in ((1, shown.labels), (2, classes)):
            axes[row, column].set_xlabel(", ".join(map(str, given[column])))
    for row, name in enumerate(("input", "labels", "predictions")):
        axes[row, 0].set_ylabel(name)
    panels.save(figure, path)
