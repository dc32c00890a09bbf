"""affNIST, MNIST under small affine maps on 40x40 pixels, from the files of its authors.

Tieleman (2013); every file has a struct `affNISTdata` whose field `image` holds an image in each
column, row by row, and whose `label_int` holds the digits. Test images are 32 maps of each of
MNIST's, in 32 files; `just_centered` has each once, unmoved, in one.

    affnist/test_batches/1.mat ...                      or  affnist/test.mat
    affnist/training_and_validation_batches/1.mat ...   or  affnist/training_and_validation.mat
"""

import functools
import pathlib

import numpy as np
import scipy.io

from common.errors import UserError, first_line
from data.labels import whole_numbers
from data.sources import slicing

# What the files of a split are called, by the split's name here.
FILES = {"train": "training_and_validation", "test": "test"}
SIZE = 40
_STRUCT = "affNISTdata"
_FIELDS = ("image", "label_int")


def open_folder(folder: pathlib.Path, size: int) -> slicing.Source:
    """Reads parts of splits, and of the files only those of the splits that are asked for.

    All training images take 3 GB.

    Args:
        folder: Holds the files.
        size: Height and width that images are brought to; 0 leaves them as they are.

    Returns:
        A source whose images come file by file, in the order of their numbers. It raises a
        `UserError` if files of the split are missing, damaged, or of something else.
    """
    whole = functools.cache(functools.partial(_read_split, folder))
    return slicing.read_whole_splits(tuple(FILES), whole, size=size, num_classes=10)


def _paths(folder: pathlib.Path, split: str) -> list[pathlib.Path]:
    whole = folder / f"{FILES[split]}.mat"
    batches = (folder / f"{FILES[split]}_batches").glob("*.mat")
    return [whole] if whole.is_file() else sorted(batches, key=_number)


def _number(path: pathlib.Path) -> tuple[int, str]:
    """Puts 10.mat after 9.mat."""
    return int(path.stem) if path.stem.isdecimal() else 0, path.stem


def _read_split(folder: pathlib.Path, split: str) -> slicing.Images:
    paths = _paths(folder, split)
    if not paths:
        raise UserError(
            f"{folder} has neither {FILES[split]}.mat nor {FILES[split]}_batches/*.mat, affNIST's "
            f"files of the {split} split"
        )
    images, labels = zip(*map(_read_file, paths), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _read_file(path: pathlib.Path) -> slicing.Images:
    try:
        # A damaged file raises errors of many kinds, those of zlib and struct among them.
        # No other variable is read, whatever a file from elsewhere holds.
        content = scipy.io.loadmat(path, simplify_cells=True, variable_names=[_STRUCT])[_STRUCT]
        images, labels = (np.asarray(content[name]) for name in _FIELDS)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a file of affNIST ({first_line(error)}); fetch it again"
        ) from error
    labels = whole_numbers(labels.reshape(-1), str(path))
    # MATLAB's single column comes without its second axis.
    shapes = {(SIZE * SIZE, len(labels)), (SIZE * SIZE,) * (len(labels) == 1)}
    if images.dtype != np.uint8 or images.shape not in shapes or not len(labels):
        raise UserError(
            f"{path} has {images.dtype} images {images.shape} for {len(labels)} labels; affNIST "
            f"has uint8 images ({SIZE * SIZE}, count)"
        )
    columns = images.reshape(SIZE * SIZE, len(labels))
    return columns.T.reshape(-1, SIZE, SIZE, 1), labels
