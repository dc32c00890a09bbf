"""Labels: the numbers of classes, from 0 on, whatever a dataset stores them as."""

import numpy as np
from jaxtyping import Int, Shaped

from common.errors import UserError

# Of the classes that labels number, more than half and all but ten have to be there. Further gaps
# are a sign of an identifier, a measurement or a mark such as 255 for "unlabelled".
_MAX_GAPS = 10
# Classes are unbalanced if the largest has so many times the images of the smallest, and counts are
# so many standard deviations (of Pearson's statistic) from those of draws with equal chances.
_RATIO, _DEVIATIONS = 1.5, 4.0


def whole_numbers(labels: Shaped[np.ndarray, "..."], whose: str) -> Int[np.ndarray, "count"]:
    """Labels as int32.

    Args:
        labels: One whole number for each image, of any type of integers or of truth values.
        whose: For the message: what they belong to.

    Raises:
        UserError: if they are of another type or shape, or beyond 32 bits.
    """
    if labels.dtype.kind not in "iub" or labels.ndim != 1:
        each = f" of shape {labels.shape[1:]}" if labels.ndim > 1 else ""
        kind = "text" if labels.dtype.kind in "OSU" else str(labels.dtype)
        raise UserError(
            f"{whose}: its labels are {kind}{each}; each image needs one whole number, its class"
        )
    for label in (labels.min(), labels.max()) if labels.size else ():
        if not -(2**31) <= int(label) < 2**31:
            raise UserError(f"{whose}: label {label} is no number of a class")
    return labels.astype(np.int32)


def count_classes(labels: Int[np.ndarray, "count"], name: str) -> int:
    """The number of classes of a dataset that does not declare it: one more than its last label.

    Args:
        labels: Of its training and validation images.
        name: The dataset's, for the message.

    Raises:
        UserError: if most of the classes that this would make have no image.
    """
    found, last = np.unique(labels), int(labels.max())
    if last + 1 > 2 * len(found) + _MAX_GAPS:
        raise UserError(
            f"{name}: its images have {len(found)} different labels, up to {last}; number the "
            "classes from 0 on"
        )
    return last + 1


def check_range(labels: Int[np.ndarray, "..."], num_classes: int, name: str, role: str) -> None:
    """Raises a `UserError` if a label of a split is none of the classes.

    Args:
        labels: Of the split, one or several an image.
        num_classes: Labels are in [0, num_classes).
        name: The dataset's.
        role: "train", "validation" or "test".
    """
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if not outside.size:
        return
    number = f"{outside.size} of {labels.size}" if outside.size < labels.size else "all"
    unlabelled = ", which stands for unlabelled images" if outside[0] == -1 else ""
    raise UserError(
        f"{name}: {number} labels of the {role} split are outside of its {num_classes} classes, 0 "
        f"to {num_classes - 1}, such as {outside[0]}{unlabelled}; choose a labelled split, as in "
        f"--config.dataset.{role}='train[90%:]'"
    )


def are_unbalanced(labels: Int[np.ndarray, "count"], num_classes: int) -> bool:
    """True if classes have different numbers of images, by more than chance gives a small sample.

    Args:
        labels: One an image, in [0, num_classes).
        num_classes: How many there are.
    """
    counts = np.bincount(labels, minlength=num_classes)
    expected, freedom = len(labels) / num_classes, num_classes - 1
    if not freedom or counts.max() <= _RATIO * counts.min():
        return False
    statistic = float(np.sum((counts - expected) ** 2) / expected)
    return statistic > freedom + _DEVIATIONS * np.sqrt(2.0 * freedom)
