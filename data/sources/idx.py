"""IDX files, the format of MNIST and of the sets modelled on it.

Images with channels have a fourth axis for them; "idx4" may then stand in their files' names.
"""

import gzip
import hashlib
import math
import os
import pathlib
import zlib
from typing import Any

import numpy as np

from common.errors import UserError
from data.memory import check_fits
from data.sources import fingerprints, slicing
from data.sources.resizing import middle_squares

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTES = 0x08
_AXES = (1, 3, 4)  # of labels, of grey images, and of images with channels
# What deflate makes of a byte, at the most.
_HIGHEST_COMPRESSION = 1032


def missing_files(folder: pathlib.Path) -> list[str]:
    """Names of those of a dataset's four files that a folder has neither plain nor compressed."""
    return [
        name
        for pair in FILES.values()
        for name in pair
        if not any(map(os.path.isfile, _paths(folder, name)))
    ]


def _paths(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Where a file may be: plain or compressed, under either name."""
    names = dict.fromkeys((name, name.replace("idx3", "idx4")))
    return [folder / f"{each}{ending}" for each in names for ending in ("", ".gz")]


def read_split(
    folder: pathlib.Path, split: str, checksums: dict[str, str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split of a folder of IDX files.

    Args:
        folder: Holds the files, each plain or with the ending `.gz`.
        split: "train" or "test".
        checksums: SHA-256 of the uncompressed files by name; None checks nothing.

    Returns:
        Images `[count, height, width, channels]` (uint8) and labels `[count]` (int32).

    Raises:
        UserError: if a file is missing, damaged or not what its checksum says.
    """
    images, labels = (_read(folder, name, checksums) for name in FILES[split])
    if images.ndim not in _AXES[1:] or labels.ndim != 1 or len(images) != len(labels):
        raise UserError(
            f"the {split} files in {folder} do not fit together: images {images.shape}, "
            f"labels {labels.shape}; fetch them again"
        )
    return images if images.ndim == 4 else images[..., None], labels.astype(np.int32)


def open_folder(
    folder: pathlib.Path,
    size: int,
    *,
    num_classes: int | None = None,
    checksums: dict[str, str] | None = None,
) -> slicing.Source:
    """Reads the files of a folder now, and any part of them later.

    Args:
        folder: See `read_split`.
        size: Height and width that images are brought to; 0 leaves them as they are.
        num_classes: Where it is known; the files do not say it.
        checksums: See `read_split`.

    Raises:
        UserError: see `read_split`.
    """
    whole = {split: read_split(folder, split, checksums) for split in FILES}
    sizes = {split: len(labels) for split, (_, labels) in whole.items()}

    def read(spec):
        images, labels = slicing.take(spec, whole)
        return middle_squares(images, size), labels

    # Files that are what their checksums say are always the same.
    fingerprint = "" if checksums else fingerprints.of_arrays(whole)
    return slicing.Source(num_classes, lambda spec: sizes, read, fingerprint=fingerprint)


def _read(folder: pathlib.Path, name: str, checksums: dict[str, str] | None) -> np.ndarray:
    paths = _paths(folder, name)
    path = next((path for path in paths if path.is_file()), paths[1])
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header, shape = _read_header(file, path)
            # One byte more than there should be: it also reaches the checksum at a .gz file's end.
            values = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch it again") from error
    if checksums is not None:
        found = hashlib.sha256(header + values).hexdigest()
        if found != checksums[name]:
            raise UserError(
                f"{path} is damaged: its content has SHA-256 {found[:16]}..., "
                f"expected {checksums[name][:16]}...; fetch it again"
            )
    if 0 in shape:
        raise UserError(f"{path} is empty: its header says {shape}; fetch it again")
    if len(values) != math.prod(shape):
        number = len(values) if len(values) < math.prod(shape) else "more"
        raise UserError(f"{path} holds {number} values where its header says {shape}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_header(file: Any, path: pathlib.Path) -> tuple[bytes, tuple[int, ...]]:
    """Two zeros, a type byte, the number of axes, and the length of each, big-endian."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTES:
        raise UserError(f"{path} is not an IDX file of unsigned bytes; fetch it again")
    if start[3] not in _AXES:
        raise UserError(
            f"{path} has {start[3]} axes; images have 3 or 4 and labels 1; fetch it again"
        )
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise UserError(f"{path} ends within its header; fetch it again")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    # A header is not believed beyond what the file can hold, nor what the memory can.
    if math.prod(shape) > _HIGHEST_COMPRESSION * path.stat().st_size:
        raise UserError(f"{path} is too short for what its header says, {shape}; fetch it again")
    check_fits(shape, str(path))
    return start + lengths, shape
