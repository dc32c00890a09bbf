"""Place, size and orientation of the object of an image, by its moments.

All of an image's light counts as the object, which suits digits and other bright things on black.
"""

from typing import NamedTuple

import numpy as np

from evaluation.results.artifacts import ObjectStatistics

_CHUNK = 1000
# Of a correlation's denominator, and the least length of a mean direction.
_EPS_VARIANCE, _EPS = 1e-9, 1e-12


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


def find_objects(images: np.ndarray) -> Objects:
    """Measures objects of images `[count, height, width, channels]`; all of blank ones is zero."""
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
    slant = np.where(both > _EPS_VARIANCE, covariance / np.maximum(both, _EPS_VARIANCE), 0.0)
    angle = np.rad2deg(np.arctan2(2.0 * covariance, y_variance - x_variance)) / 2.0
    # A bar of n even pixels has the variance (n^2 - 1) / 12.
    width, height = (np.sqrt(12.0 * each + (mass > 0.0)) for each in (x_variance, y_variance))
    return np.stack([x, y, width, height, slant, angle])


def distances(
    objects: Objects, labels: np.ndarray, reference: Objects, reference_labels: np.ndarray
) -> np.ndarray:
    """Measures distances of objects from those of the same class in reference images.

    Args:
        objects: Of the images.
        labels: `[count]`, their classes.
        reference: Objects of the reference images.
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


def object_statistics(
    split: str, objects: Objects, labels: np.ndarray, classes: int
) -> ObjectStatistics:
    """Computes mean and standard deviation of place, size and angle, for each class of a split.

    An angle's are circular, for a line that is turned by 180 degrees is the same line.

    Args:
        split: Its name, the label of the statistics.
        objects: Of its images.
        labels: `[count]`, their classes.
        classes: Rows of the statistics; those of classes without images are NaN.
    """
    tables = {name: np.full((classes, 2), np.nan) for name in ObjectStatistics.names()}
    for label in np.unique(labels):
        for name, table in tables.items():
            values = getattr(objects, name)[labels == label]
            table[label] = _axial(values) if name == "angle" else (values.mean(), values.std())
    return ObjectStatistics(**tables, label=split)


def _axial(degrees: np.ndarray) -> tuple[float, float]:
    """Computes mean and standard deviation of directions of lines (Mardia and Jupp, 2000)."""
    resultant = np.mean(np.exp(2j * np.deg2rad(degrees)))
    length = min(max(abs(resultant), _EPS), 1.0)
    deviation = np.sqrt(-2.0 * np.log(length)) / 2.0
    return float(np.rad2deg(np.angle(resultant)) / 2.0), float(np.rad2deg(deviation))
