"""Rotated MNIST 12k (Larochelle et al., 2007) from the files of its authors.

A line of text has the 784 grey levels of an image, in [0, 1], and its digit. In a folder of the
archive's name, `mnist_rotation_new`, lie

    mnist_all_rotation_normalized_float_train_valid.amat    12,000 lines, the last sixth to validate
    mnist_all_rotation_normalized_float_test.amat           50,000 lines

Grey levels are read row by row, as others read them. It is not confirmed that the authors wrote
them so; column by column, images would be mirrored, which matters to no network that is trained and
tested on them, and to one that was trained on rendered images.
"""

import functools
import pathlib
import warnings

import numpy as np

from common.errors import UserError, first_line
from data.memory import check_fits
from data.sources import slicing

NAME = "mnist_rotation_new"
_FILE = "mnist_all_rotation_normalized_float_{}.amat"
# The file of each split, and its part of the file's lines: 10,000 of 12,000 to learn from.
FILES = {
    "train": ("train_valid", 0.0, 5.0 / 6.0),
    "validation": ("train_valid", 5.0 / 6.0, 1.0),
    "test": ("test", 0.0, 1.0),
}
SIZE = 28
_CLASSES = 10
# More lines than either file has.
_MOST = 100_000
# Beyond [0, 1], for the rounding of an interpolation; it is cut off.
_TOLERANCE = 0.01


def open_folder(folder: pathlib.Path, size: int) -> slicing.Source:
    """Reads parts of splits, and only the files of those that are asked for.

    Args:
        folder: Holds the files.
        size: Height and width that images are brought to; 0 leaves them as they are.

    Returns:
        A source with a split "validation". It raises a `UserError` if a file that is asked for is
        missing, damaged, or of something else.
    """
    read_once = functools.cache(functools.partial(_read_file, folder))

    def whole(split):
        name, *part = FILES[split]
        images, labels = read_once(name)
        first, last = (round(share * len(labels)) for share in part)
        return images[first:last], labels[first:last]

    return slicing.read_whole_splits(
        tuple(FILES), whole, size=size, num_classes=_CLASSES, has_validation=True
    )


def _read_file(folder: pathlib.Path, name: str) -> slicing.Images:
    path = folder / _FILE.format(name)
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name}, a file of rotated MNIST")
    check_fits((path.stat().st_size,), str(path))
    try:
        # No more than numbers are read, whatever a file from elsewhere holds.
        with path.open(encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # of a file without lines
            table = np.loadtxt(file, np.float32, comments=None, ndmin=2, max_rows=_MOST)
    except (OSError, ValueError, UserWarning) as error:
        raise UserError(
            f"{path} cannot be read as a file of rotated MNIST ({first_line(error)}); fetch it "
            "again"
        ) from error
    if table.shape[1] != SIZE**2 + 1 or len(table) < 2:
        raise UserError(
            f"{path} has {len(table)} lines of {table.shape[1]} numbers; rotated MNIST has "
            f"thousands of {SIZE**2 + 1}"
        )
    levels, digits = table[:, :-1], table[:, -1]
    if not np.all(np.abs(levels - 0.5) <= 0.5 + _TOLERANCE):
        raise UserError(f"{path} has grey levels that are not in [0, 1]; fetch it again")
    if not np.all((digits == np.round(digits)) & (digits >= 0) & (digits < _CLASSES)):
        raise UserError(f"{path} has lines that end in no digit; fetch it again")
    images = np.round(255.0 * np.clip(levels, 0.0, 1.0)).astype(np.uint8)
    return images.reshape(-1, SIZE, SIZE, 1), digits.astype(np.int32)
