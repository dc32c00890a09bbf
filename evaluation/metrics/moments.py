"""Where the object of an image sits, how large it is and how it is oriented, by its moments.

All of an image's light counts as the object, which suits digits and other bright things on black.
Statistics of a set of images are kept as the details of a result, which are numbers by name; here
are the names, so that a suite can write them and a report can draw them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_STATISTIC = re.compile(r"(\w+), class (\d{1,4}): (.+), (mean|sd)")
_CHUNK = 1000


class Objects(NamedTuple):
    """The object of each image, `[count]` each.

    Attributes:
        x: Of the centre of mass, in pixels right of the image's centre.
        y: Likewise, downwards.
        width: Of the bar of even light with the same second moment along x, in pixels.
        height: Likewise along y.
        slant: Correlation of x with y upwards: positive if the top leans right.
        angle: Of the longer axis against the vertical, clockwise, in degrees, from -90 to 90.
    """

    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    height: np.ndarray
    slant: np.ndarray
    angle: np.ndarray


CARD = ("x", "y", "width", "height", "angle")
"""The properties that statistics are made of."""


def find_objects(images: np.ndarray) -> Objects:
    """Measures `[count, height, width, channels]` images; blank ones have everything zero."""
    parts = [_find(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    return Objects(*np.concatenate(parts, axis=1))


def _find(images: np.ndarray) -> np.ndarray:
    light = images.sum(axis=-1, dtype=np.float32).astype(np.float64)
    mass = light.sum(axis=(1, 2))
    light /= np.where(mass > 0.0, mass, 1.0)[:, None, None]
    columns, rows = light.sum(axis=1), light.sum(axis=2)
    across = np.arange(light.shape[2]) - (light.shape[2] - 1) / 2.0
    down = np.arange(light.shape[1]) - (light.shape[1] - 1) / 2.0
    x, y = columns @ across, rows @ down
    x_variance = np.maximum(columns @ across**2 - x**2, 0.0)
    y_variance = np.maximum(rows @ down**2 - y**2, 0.0)
    covariance = np.einsum("nyx,y,x->n", light, -down, across, optimize=True) + x * y
    both = np.sqrt(x_variance * y_variance)
    slant = np.where(both > 1e-9, covariance / np.maximum(both, 1e-9), 0.0)
    angle = np.rad2deg(np.arctan2(2.0 * covariance, y_variance - x_variance)) / 2.0
    # A bar of n even pixels has the variance (n^2 - 1) / 12.
    width, height = (np.sqrt(12.0 * each + (mass > 0.0)) for each in (x_variance, y_variance))
    return np.stack([x, y, width, height, slant, angle])


def distances(
    objects: Objects, labels: np.ndarray, reference: Objects, reference_labels: np.ndarray
) -> np.ndarray:
    """How unusual objects are for their class, against those of reference images.

    Args:
        objects: To be judged.
        labels: `[count]`, their classes.
        reference: What is usual.
        reference_labels: Likewise.

    Returns:
        `[count]` distances of Mahalanobis (1936) of place, width, height and slant from the mean of
        the class, under the covariance within classes; a class that the reference lacks is held to
        the mean of all. Directions in which the reference does not vary do not count.
    """
    usual, found = (np.stack(each[:5], axis=1) for each in (reference, objects))
    means = {
        label: usual[reference_labels == label].mean(axis=0) for label in set(reference_labels)
    }
    overall = usual.mean(axis=0)
    within = usual - np.stack([means[label] for label in reference_labels])
    inverse = np.linalg.pinv(within.T @ within / len(within), rcond=1e-9, hermitian=True)
    gaps = found - np.stack([means.get(label, overall) for label in labels])
    return np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", gaps, inverse, gaps), 0.0))


def card_details(split: str, objects: Objects, labels: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of each property of `CARD`, for each class of a split.

    An angle's are circular, for a line that is turned by 180 degrees is the same line.
    """
    details = {}
    for label in np.unique(labels):
        for name in CARD:
            values = getattr(objects, name)[labels == label]
            mean, sd = _axial(values) if name == "angle" else (values.mean(), values.std())
            details[f"{split}, class {label}: {name}, mean"] = float(mean)
            details[f"{split}, class {label}: {name}, sd"] = float(sd)
    return details


def _axial(degrees: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the directions of lines (Mardia and Jupp, 2000)."""
    resultant = np.mean(np.exp(2j * np.deg2rad(degrees)))
    length = min(max(abs(resultant), 1e-12), 1.0)
    deviation = np.sqrt(-2.0 * np.log(length)) / 2.0
    return float(np.rad2deg(np.angle(resultant)) / 2.0), float(np.rad2deg(deviation))


def read_card(details: Mapping[str, float]) -> dict[str, dict[str, np.ndarray]]:
    """Statistics among details: `[classes, 2]` of mean and sd, by property and split."""
    found: dict[str, dict[str, dict[tuple[int, str], float]]] = {}
    for key, value in details.items():
        if match := _STATISTIC.fullmatch(key):
            split, label, name, kind = match.groups()
            found.setdefault(name, {}).setdefault(split, {})[int(label), kind] = value
    return {
        name: {split: _table(values) for split, values in by_split.items()}
        for name, by_split in found.items()
    }


def _table(values: Mapping[tuple[int, str], float]) -> np.ndarray:
    classes = range(1 + max(label for label, _ in values))
    nothing = float("nan")
    return np.array([[values.get((k, kind), nothing) for kind in ("mean", "sd")] for k in classes])


def is_of_card(name: str) -> bool:
    """Whether a detail is part of such statistics rather than a number of its own."""
    return bool(_STATISTIC.fullmatch(name))
