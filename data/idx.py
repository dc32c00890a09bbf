"""IDX files, the format of MNIST and of the sets modelled on it."""

import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Callable

import numpy as np

from data import slicing
from data.errors import UserError
from data.resizing import middle_squares

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTES = 0x08


def holds_idx(folder: pathlib.Path) -> bool:
    """Whether a folder has all four files of a dataset, compressed or not."""
    return all(
        (folder / name).is_file() or (folder / f"{name}.gz").is_file()
        for pair in FILES.values()
        for name in pair
    )


def read_split(
    folder: pathlib.Path, split: str, checksums: dict[str, str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split of a folder of IDX files.

    Args:
        folder: Holds the files, each plain or with the ending `.gz`.
        split: "train" or "test".
        checksums: SHA-256 of the uncompressed files by name; None checks nothing.

    Returns:
        Images `[count, height, width, 1]` (uint8) and labels `[count]` (int32).

    Raises:
        UserError: if a file is missing, damaged or not what its checksum says.
    """
    images, labels = (_read(folder, name, checksums) for name in FILES[split])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise UserError(
            f"the {split} files in {folder} do not fit together: images {images.shape}, "
            f"labels {labels.shape}; fetch them again"
        )
    return images[..., None], labels.astype(np.int32)


def split_reader(folder: pathlib.Path, size: int) -> Callable[[str], slicing.Images]:
    """Reads the files of a folder now, and any part of them later.

    Args:
        folder: See `read_split`.
        size: Height and width that images are brought to; 0 leaves them as they are.

    Returns:
        From a split in TFDS's slicing notation, such as "train[:100]", to its images and labels.
    """
    whole = {split: read_split(folder, split) for split in FILES}

    def read(spec):
        images, labels = slicing.take(spec, whole)
        return middle_squares(images, size), labels

    return read


def _read(folder: pathlib.Path, name: str, checksums: dict[str, str] | None) -> np.ndarray:
    plain, compressed = folder / name, folder / f"{name}.gz"
    path = plain if plain.is_file() else compressed
    try:
        content = path.read_bytes()
        content = content if path == plain else gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch it again") from error
    if checksums is not None:
        found = hashlib.sha256(content).hexdigest()
        if found != checksums[name]:
            raise UserError(
                f"{path} is damaged: its content has SHA-256 {found[:16]}..., "
                f"expected {checksums[name][:16]}...; fetch it again"
            )
    return _parse(content, path)


def _parse(content: bytes, path: pathlib.Path) -> np.ndarray:
    """The header is two zeros, a type byte, the number of axes, and each axis as big-endian."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTES:
        raise UserError(f"{path} is not an IDX file of unsigned bytes")
    axes = content[3]
    shape = tuple(np.frombuffer(content, ">u4", count=axes, offset=4).tolist())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if values.size != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path} holds {values.size} values where its header says {shape}")
    return values.reshape(shape)
