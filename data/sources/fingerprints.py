"""Lines that differ where images do, so that a run does not go on with others."""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np


def of_files(root: pathlib.Path, paths: Sequence[pathlib.Path]) -> str:
    """A line that differs where the files of a folder do in number, name or size.

    Not in their times, which a copy on another machine need not keep.
    """
    sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in paths}
    return f"{len(sizes)} files, {sum(sizes.values())} bytes, {digest(sorted(sizes.items()))}"


def of_arrays(
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]], class_names: Sequence[str] = ()
) -> str:
    """A line that differs where pixels, labels or names of classes do.

    Not where the files do alone, which may lie elsewhere and be compressed or not.

    Args:
        splits: Images `[count, height, width, channels]` (uint8) and labels `[count]` (int32) of
            each whole split, by its name.
        class_names: In the order of the labels.
    """
    contents = [
        (split, array.shape, hashlib.sha256(np.ascontiguousarray(array).data).hexdigest())
        for split, arrays in splits.items()
        for array in arrays
    ]
    count = sum(len(labels) for _, labels in splits.values())
    size = sum(images.nbytes for images, _ in splits.values())
    return f"{count} images, {size} bytes, {digest(contents, tuple(class_names))}"


def digest(*parts: object) -> str:
    """16 hexadecimal digits that differ where the printed parts do."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
