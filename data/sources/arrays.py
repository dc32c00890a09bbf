"""Files of NumPy arrays (.npz) with images and labels, as Keras and MedMNIST name them.

    x_train y_train x_test y_test                   and perhaps x_val y_val
    train_images train_labels test_images ...       and perhaps val_images val_labels
    images labels  or  x y                          split by a seed, see `parts`

Images are `[count, height, width]` or `[count, height, width, channels]` of 8 or 16 bits, labels
`[count]` or `[count, 1]` whole numbers; a further array `class_names` may name the classes.
"""

import pathlib
import zipfile

import numpy as np

from common.errors import UserError, first_line
from data.dataset import ROLES
from data.labels import whole_numbers
from data.memory import check_fits
from data.sources import fingerprints, slicing
from data.sources.decoding import to_bytes
from data.sources.parts import WHOLE, in_roles
from data.sources.resizing import middle_squares

_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    WHOLE: (("images", "labels"), ("x", "y")),
}
_CLASS_NAMES = "class_names"
# Up to so many channels the first axis of an image may be taken for one of channels.
_FEW = 4


def open_file(path: pathlib.Path, *, size: int, seed: int) -> slicing.Source:
    """Reads the arrays of a file now, and any part of them later.

    Args:
        path: Of the file.
        size: Height and width that images are brought to; 0 leaves them as they are.
        seed: Decides which images are for validation and test where the file does not say it.

    Raises:
        UserError: if the file is damaged, or its arrays are not images and labels.
    """
    arrays = _load(path)
    splits = {split: each for split in _NAMES if (each := _split(path, arrays, split))}
    if WHOLE not in splits and not {"train", "test"} <= splits.keys():
        raise UserError(
            f"{path} has the arrays {', '.join(arrays) or 'none'}; it needs x_train, y_train, "
            "x_test and y_test, or images and labels"
        )
    if WHOLE in splits and len(splits) > 1:
        raise UserError(f"{path} has images of splits, and others beside them; keep one of the two")
    labels = {split: numbers for split, (_, numbers) in splits.items()}
    roles = in_roles(labels, seed, lambda label: f"{path}: class {label}")
    sizes = {role: len(roles[role].places) for role in ROLES}

    def read(spec: str) -> slicing.Images:
        chosen = [
            (splits[roles[part.split].split], roles[part.split].places[part.start : part.stop])
            for part in slicing.resolve(spec, sizes)
        ]
        images = np.concatenate([images[places] for (images, _), places in chosen])
        numbers = np.concatenate([numbers[places] for (_, numbers), places in chosen])
        return middle_squares(images, size), numbers

    names = _class_names(path, arrays)
    return slicing.Source(
        len(names) or None,
        lambda spec: sizes,
        read,
        class_names=names,
        has_validation=True,
        elsewhere="+".join(ROLES) if WHOLE in splits else "test",
        fingerprint=fingerprints.of_arrays(splits, names),
    )


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name; none of objects, which could be programs."""
    try:
        with zipfile.ZipFile(path) as file:
            check_fits((sum(member.file_size for member in file.infolist()),), str(path))
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UserError:
        raise
    except Exception as error:  # of zipfile, zlib, struct and NumPy
        raise UserError(
            f"{path} cannot be read as a file of arrays ({first_line(error)}); write it by "
            "numpy.savez, or fetch it again"
        ) from error


def _split(path: pathlib.Path, arrays: dict[str, np.ndarray], split: str) -> slicing.Images | None:
    for name, label_name in _NAMES[split]:
        if name not in arrays and label_name not in arrays:
            continue
        for wanted in (name, label_name):
            if wanted not in arrays:
                raise UserError(f"{path} has no array {wanted}; it has {', '.join(arrays)}")
        images, labels = _images(f"{path}: {name}", arrays[name]), arrays[label_name]
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        labels = whole_numbers(labels, f"{path}: {label_name}")
        if len(labels) != len(images):
            raise UserError(
                f"{path} has {len(images)} images in {name} and {len(labels)} labels in "
                f"{label_name}"
            )
        return images, labels
    return None


def _images(whose: str, images: np.ndarray) -> np.ndarray:
    """`[count, height, width, channels]` bytes."""
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype not in (np.uint8, np.uint16) or images.ndim != 4 or 0 in images.shape:
        raise UserError(
            f"{whose} is {images.dtype} of shape {images.shape}; images are uint8 or uint16 of "
            "shape (count, height, width) or (count, height, width, channels)"
        )
    if images.shape[1] <= _FEW < min(images.shape[2:]):
        raise UserError(f"{whose} is of shape {images.shape}; channels come last")
    return images if images.dtype == np.uint8 else to_bytes(images)


def _class_names(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    names = arrays.get(_CLASS_NAMES, np.array([], str))
    if names.dtype.kind != "U" or names.ndim != 1 or not all(map(str.isprintable, names.tolist())):
        raise UserError(f"{path}: {_CLASS_NAMES} must be a list of printable texts")
    return tuple(names.tolist())
