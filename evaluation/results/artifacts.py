"""Artifacts: what there is to see of a result besides its value, as arrays.

A kind of artifact is a frozen dataclass below `Artifact` whose fields are arrays; that is enough to
be stored, read and averaged over seeds. A figure of it is a function that is registered with
`evaluation.reports.figures.artifacts.figure_of`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

_BINS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Artifact:
    """Arrays that belong to a result.

    Attributes:
        IMAGES: Names of its arrays that are images in [0, 1], which are stored with 8 bits. An
            artifact with images is no mean of others: that of the first seed is shown.
        label: Tells it from others of its kind and result.

    Raises:
        ValueError: if an array does not have the shape or the values of its kind.
    """

    IMAGES: ClassVar[tuple[str, ...]] = ()

    label: str = dataclasses.field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for name in self.names():
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        self._check()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(field.name for field in dataclasses.fields(cls) if field.name != "label")

    def _check(self) -> None:
        """Raises a `ValueError` unless the arrays fit the kind."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, as they are stored."""
        arrays = {name: getattr(self, name) for name in self.names()}
        levels = {name: np.round(255.0 * arrays[name]).astype(np.uint8) for name in self.IMAGES}
        return arrays | levels

    @classmethod
    def from_arrays(cls, label: str, arrays: Mapping[str, np.ndarray]) -> Self:
        """An artifact of stored arrays.

        Raises:
            ValueError: as the class, and if arrays are missing or unknown.
        """
        if set(arrays) != set(cls.names()):
            raise ValueError(f"{cls.__name__} has the arrays {', '.join(sorted(arrays))}")
        found = {name: np.asarray(array) for name, array in arrays.items()}
        for name in cls.IMAGES:
            if found[name].dtype != np.uint8:
                raise ValueError(f"{name} have other levels than those of 8 bits")
            found[name] = found[name] / np.float32(255.0)
        return cls(**found, label=label)

    def _mean(self, others: Sequence["Artifact"]) -> "Artifact":
        """The mean of this and others of its kind, array by array, leaving NaN out."""
        if self.IMAGES:
            return self
        arrays = {
            name: _mean([getattr(each, name) for each in (self, *others)]) for name in self.names()
        }
        return dataclasses.replace(self, **arrays)


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of arrays of one shape, NaN only where all of them are."""
    stacked = np.stack([np.asarray(array, float) for array in arrays])
    there = ~np.isnan(stacked)
    total = np.sum(np.where(there, stacked, 0.0), axis=0)
    return np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)


def require(holds: bool, artifact: Artifact, wanted: str) -> None:
    """Raises a `ValueError` that an artifact has not what its kind wants, unless it holds."""
    if not holds:
        raise ValueError(
            f"{type(artifact).__name__} {artifact.label}".strip() + f" has no {wanted}"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ConfusionMatrix(Artifact):
    """Numbers of images by label and prediction.

    Attributes:
        counts: `[labels, predictions]`.
    """

    counts: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, predictions: np.ndarray, classes: int) -> "ConfusionMatrix":
        """Counts `[count]` labels and predictions, both below `classes`."""
        counts = np.zeros((classes, classes))
        np.add.at(counts, (labels, predictions), 1)
        return cls(counts)

    def _check(self) -> None:
        shape = self.counts.shape
        require(len(shape) == 2 and shape[0] == shape[1] > 0, self, "square of counts")
        require(bool(np.all(self.counts >= 0)), self, "counts above zero")


@dataclasses.dataclass(frozen=True, eq=False)
class ReliabilityDiagram(Artifact):
    """Accuracy over confidence, in bins of confidence (Guo et al., 2017, equations 1 and 2).

    Attributes:
        confidence: `[bins]` means; NaN of a bin without images.
        accuracy: `[bins]`, likewise.
        images: `[bins]` counts.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    images: np.ndarray

    @classmethod
    def of(cls, confidences: np.ndarray, hits: np.ndarray) -> "ReliabilityDiagram":
        """Bins images in ten bins of equal width.

        Args:
            confidences: `[count]`, of the predictions, in [0, 1].
            hits: `[count]`, True for right predictions.
        """
        bins = np.minimum((np.asarray(confidences) * _BINS).astype(int), _BINS - 1)
        images = np.bincount(bins, minlength=_BINS)
        there = np.where(images, images, np.nan)
        confidence, accuracy = (
            np.bincount(bins, each, minlength=_BINS) / there for each in (confidences, hits)
        )
        return cls(confidence, accuracy, images)

    def _check(self) -> None:
        shapes = {getattr(self, name).shape for name in self.names()}
        require(len(shapes) == 1 and len(shapes.pop()) == 1, self, "bins of one number")
        require(bool(np.all(self.images >= 0)), self, "counts above zero")


@dataclasses.dataclass(frozen=True, eq=False)
class ShiftMap(Artifact):
    """Accuracy over two-dimensional shifts.

    Attributes:
        accuracy: `[2 reach + 1, 2 reach + 1]`, in [0, 1]; rows are shifts along y, columns along
            x, both from -reach to reach pixels.
    """

    accuracy: np.ndarray

    def _check(self) -> None:
        shape = self.accuracy.shape
        require(len(shape) == 2 and shape[0] == shape[1] and shape[0] % 2 == 1, self, "middle")
        require(bool(np.all((self.accuracy >= 0) & (self.accuracy <= 1))), self, "shares")


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectStatistics(Artifact):
    """Place, size and orientation of the objects of a split's images; its label is the split.

    Attributes:
        x: `[classes, 2]` mean and standard deviation of the centre of mass, pixels to the right of
            the image's centre; NaN of a class without images, as for the others.
        y: Likewise, downwards.
        width: In pixels.
        height: In pixels.
        angle: Of the longer axis against the vertical, clockwise, in degrees.
    """

    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    height: np.ndarray
    angle: np.ndarray

    def _check(self) -> None:
        shapes = {getattr(self, name).shape for name in self.names()}
        (shape, *others) = shapes
        require(not others and len(shape) == 2 and shape[1] == 2, self, "means and deviations")


@dataclasses.dataclass(frozen=True, eq=False)
class Images(Artifact):
    """Images to look at; the label is what they show.

    Attributes:
        images: `[count, height, width, channels]` in [0, 1].
    """

    IMAGES = ("images",)

    images: np.ndarray

    def _check(self) -> None:
        require(self.images.ndim == 4 and self.images.size > 0, self, "images")


@dataclasses.dataclass(frozen=True, eq=False)
class Unknown(Artifact):
    """An artifact of a kind that is not there to read it, kept as it was stored.

    Attributes:
        kind: The name of its class.
        arrays: As they were stored.
    """

    kind: str = ""
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """None: the arrays are not known by name."""
        return ()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays, as they were stored."""
        return dict(self.arrays)

    def _mean(self, others: Sequence[Artifact]) -> Artifact:
        return self


def kind_of(artifact: Artifact) -> str:
    """The name of an artifact's kind."""
    return artifact.kind if isinstance(artifact, Unknown) else type(artifact).__name__


def make(kind: str, label: str, arrays: Mapping[str, np.ndarray]) -> Artifact:
    """An artifact of stored arrays; of a kind that no class has, an `Unknown`.

    Raises:
        ValueError: if the arrays do not fit the kind.
    """
    kinds: dict[str, Any] = {cls.__name__: cls for cls in Artifact.__subclasses__()}
    if kind in kinds and kind != Unknown.__name__:
        return kinds[kind].from_arrays(label, arrays)
    return Unknown(kind, dict(arrays), label=label)


def averages(artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """One artifact for each kind and label, as the mean over those that there are."""
    alike: dict[tuple, list[Any]] = {}
    for artifact in artifacts:
        # Arrays of different shapes have no mean; a stranger's records may hold such.
        shapes = tuple(array.shape for array in artifact.to_arrays().values())
        alike.setdefault((kind_of(artifact), artifact.label, shapes), []).append(artifact)
    return tuple(first if not others else first._mean(others) for first, *others in alike.values())
