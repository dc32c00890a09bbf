"""The signature of a trained network: what it takes and tells apart, known without its images."""

import dataclasses
import math
from typing import Any

from common.errors import UserError, printable
from data.dataset import Dataset

# Far above any dataset; a stranger's file may ask for what no machine has room for.
_MAX_PIXELS = 1 << 26
_MAX_CLASSES = 1 << 20
_MAX_NAME = 200


@dataclasses.dataclass(frozen=True)
class Signature:
    """Images that a network takes, and the classes that it tells apart.

    Attributes:
        image_shape: Height, width and channels; volumes have a depth before.
        num_classes: How many there are.
        class_names: In the order of the labels; empty where they are just numbers.
        labels_per_image: Classes that are in every image.
    """

    image_shape: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...] = ()
    labels_per_image: int = 1

    @classmethod
    def of(cls, dataset: Dataset) -> "Signature":
        """That of a network which learns a dataset."""
        return cls(
            dataset.image_shape,
            dataset.num_classes,
            dataset.class_names,
            dataset.labels_per_image,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, or else their numbers."""
        return self.class_names or tuple(map(str, range(self.num_classes)))


def from_json(stored: Any) -> Signature:
    """Rebuilds what `dataclasses.asdict` and JSON made of a signature.

    Raises:
        UserError: if it is anything else.
    """
    fault = _fault(stored)
    if fault:
        raise UserError(f"it is not the signature of a network ({fault})")
    tuples = {name: tuple(stored[name]) for name in ("image_shape", "class_names")}
    return Signature(**{**stored, **tuples})


def _fault(stored: Any) -> str | None:
    fields = [field.name for field in dataclasses.fields(Signature)]
    if not isinstance(stored, dict) or sorted(stored) != sorted(fields):
        return f"it has not the fields {', '.join(fields)}"
    shape, names, count = (stored[name] for name in ("image_shape", "class_names", "num_classes"))
    if not _are_whole(shape) or len(shape) not in (3, 4) or math.prod(shape) > _MAX_PIXELS:
        return "image_shape is none of images"
    if not _are_whole([count, stored["labels_per_image"]]) or count > _MAX_CLASSES:
        return "num_classes or labels_per_image is no number of them"
    if not isinstance(names, list) or len(names) not in (0, count) or not all(map(_is_name, names)):
        return "class_names are no names of its classes"
    return None


def _are_whole(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(each) is int and each > 0 for each in numbers)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= _MAX_NAME and printable(name) == name
