"""Image files of one split as bytes: in memory, or of more than that may take in a file.

The file is written once and mapped into memory, which gives any image at the speed of the disk
while none of them need stay in memory:

    DATA/decoded/NAME-WHICH-CONTENT.npy     [count, height, width, channels], uint8

WHICH is a digest of the folder, the split and the images' form, CONTENT of the names, sizes and
times of the files. A changed folder therefore gets another file, which takes the place of the older
one. Any of these files may be removed; the next run that needs one writes it anew.
"""

import contextlib
import dataclasses
import glob
import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import PIL

from common.errors import UserError
from common.files import PARTIAL
from data.memory import check_fits, physical
from data.sources.decoding import in_threads, read_image
from data.sources.fingerprints import digest
from data.sources.resizing import frame, middle_part

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FOLDER = "decoded"
"""Within the data directory."""
# Of the name of a file, of which systems allow 255 bytes.
_MAX_NAME = 40


@dataclasses.dataclass(frozen=True)
class Undecoded:
    """Image files in order, of which only the headers have been read.

    Attributes:
        root: The folder that they lie in.
        which: The split that they are, within the folder; for the name of a file.
        paths: Of the files.
        size: Height and width that they are brought to (see `resizing.middle_part`).
        channels: 1 or 3 (see `decoding.read_image`).
        asked: The argument that errors name, with its value.
    """

    root: pathlib.Path
    which: str
    paths: Sequence[pathlib.Path]
    size: tuple[int, int]
    channels: int
    asked: str

    def __len__(self) -> int:
        """The number of images."""
        return len(self.paths)

    def __getitem__(self, chosen: np.ndarray) -> "Undecoded":
        """Some of the images, by their numbers."""
        paths = [self.paths[number] for number in chosen]
        return dataclasses.replace(self, which=f"{len(paths)} of {self.which}", paths=paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Count, height, width and channels."""
        return (len(self), *self.size, self.channels)

    def decode(self) -> Iterator[np.ndarray]:
        """Yields every image, `[height, width, channels]`, uint8, in order.

        Raises:
            UserError: for the first one that cannot be read.
        """
        return in_threads(
            lambda path: middle_part(read_image(path, self.channels), self.size),
            self.paths,
            f"reading {self.root.name}",
        )

    def in_memory(self) -> np.ndarray:
        """All images in memory, `[count, height, width, channels]`, uint8.

        Raises:
            UserError: if they do not fit, or one cannot be read.
        """
        check_fits(self.shape, self.asked)
        images = np.empty(self.shape, np.uint8)
        for place, image in enumerate(self.decode()):
            images[place] = image
        return images

    def on_disk(self, folder: pathlib.Path, pad: int = 0) -> np.memmap:
        """All images in a file that is mapped into memory, and written unless it is there.

        A process that finds another one writing the same file waits for that.

        Args:
            folder: That of data.
            pad: Blank pixels that every image gets on each of its sides.

        Returns:
            `[count, height + 2 pad, width + 2 pad, channels]`, uint8; it cannot be written to.

        Raises:
            UserError: if one cannot be read, or the file cannot be written.
        """
        which, content = self._digests(pad)
        path = folder / FOLDER / f"{which}-{content}.npy"
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with _locked(path.with_name(path.name + PARTIAL)) as file:
                    if not path.exists():  # another process may have been faster
                        self._write(file, pad)
                        os.replace(file.name, path)
                _remove_others(path, which)
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise UserError(
                f"{self.asked}: the decoded images cannot be kept in {path.parent} "
                f"({error.strerror or error}); make room, or name another folder with --data_dir"
            ) from error

    def _write(self, file: BinaryIO, pad: int) -> None:
        shape = (len(self), *(side + 2 * pad for side in self.size), self.channels)
        file.truncate(0)  # what a process left that was stopped
        needed, free = math.prod(shape), shutil.disk_usage(file.name).free
        if needed > free:
            raise OSError(f"they take {needed / 1e9:.4g} GB, and {free / 1e9:.4g} GB are free")
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        try:
            for image in self.decode():
                file.write(frame(image[None], pad).tobytes())
            file.flush()
        except BaseException:
            file.truncate(0)
            raise

    def _digests(self, pad: int) -> tuple[str, str]:
        """Names the split in its form, and the state of its files."""
        which = digest(str(self.root), self.which, self.size, self.channels, pad)
        states = [
            (path.relative_to(self.root).as_posix(), state.st_size, state.st_mtime_ns)
            for path, state in zip(self.paths, map(os.stat, self.paths), strict=True)
        ]
        # Decoders of other versions may round otherwise.
        content = digest(self.size, self.channels, pad, states, PIL.__version__)
        return f"{self.root.name[:_MAX_NAME]}-{which}", content


def opened(
    images: np.ndarray | Undecoded, folder: pathlib.Path, limit: float, pad: int = 0
) -> np.ndarray:
    """Images of a split in memory, or mapped into it with a frame around each.

    Args:
        images: Files that were found; arrays stay as they are.
        folder: That of data.
        limit: GB that they may take in memory, and no more than half of the machine's; infinite for
            memory, where that holds them.
        pad: Width of the frame, in pixels.

    Raises:
        UserError: see `Undecoded`.
    """
    if not isinstance(images, Undecoded):
        return images
    size = math.prod(images.shape)
    if math.isinf(limit) or size <= min(limit * 1e9, physical() // 2):
        return images.in_memory()
    return images.on_disk(folder, pad)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file at its end, once no other process has it, where files can be locked."""
    with path.open("ab") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _remove_others(path: pathlib.Path, which: str) -> None:
    """Removes the same split of an earlier state; whoever has it mapped keeps it."""
    for other in path.parent.glob(f"{glob.escape(which)}-*.npy"):
        if other != path:
            other.unlink(missing_ok=True)
