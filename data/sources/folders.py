"""Folders of image files, one folder for each class: `--config.dataset.name=folder:PATH`.

    PATH/CLASS/*.png                                            split by a seed, see `parts`
    PATH/train/CLASS/*.png  PATH/test/CLASS/*.png               and perhaps PATH/validation/CLASS

Names that begin with a dot are passed over, and so are files with other endings than those of
`decoding.ENDINGS`, which is said. Classes are in the order of their names, by their value if all
are numbers.
"""

import collections
import pathlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from data.dataset import ROLES
from data.sources import fingerprints, slicing
from data.sources.decoded import Undecoded
from data.sources.decoding import ENDINGS, Header, in_threads, read_header
from data.sources.parts import WHOLE, in_roles

_MAX_CLASS_NAME = 100
# What others call the folder of validation images.
_ALIASES = {"val": "validation", "valid": "validation", "dev": "validation"}

Classes = Mapping[str, list[pathlib.Path]]
"""Image files by the name of their class."""


class _File(NamedTuple):
    path: pathlib.Path
    label: int
    header: Header


def open_folder(
    root: pathlib.Path, *, size: int | tuple[int, int], channels: int, seed: int
) -> slicing.Source:
    """Finds the images of a folder and looks at their headers; pixels are decoded later.

    Args:
        root: The folder.
        size: Height and width that images are brought to, see `middle_part`; a number for squares;
            0 for the size that most training images have.
        channels: See `decoding.read_image`; 0 for those of the images, which must be the same.
        seed: Decides which images are for validation and test where the folder does not say it.

    Returns:
        A source of the splits "train", "validation" and "test".

    Raises:
        UserError: if the folder or a file in it is not as it has to be, or is elsewhere.
    """
    root = root.resolve()
    ignored: list[pathlib.Path] = []
    found = {split: _classes(folder, root, ignored) for split, folder in _splits(root).items()}
    names = _class_names(root, found)
    files = _look(root, found, names)
    everything = [file for split in files.values() for file in split]
    most = channels or _common_channels(everything)
    to_learn = files.get("train", everything)
    shape = (size, size) if isinstance(size, int) and size else size or _common_size(to_learn)
    labels = {
        split: np.array([file.label for file in each], np.int32) for split, each in files.items()
    }
    roles = in_roles(labels, seed, lambda label: f"{root}: the class {names[label]!r}")
    ordered = {r: [files[split][k] for k in places] for r, (split, places) in roles.items()}
    sizes = {role: len(ordered[role]) for role in ROLES}

    asked = f"dataset.{f'size={shape[0]}' if size else f'name=folder:{root}'}"

    def read(spec: str) -> tuple[Undecoded, np.ndarray]:
        parts = slicing.resolve(spec, sizes)
        chosen = [f for part in parts for f in ordered[part.split][part.start : part.stop]]
        paths = [file.path for file in chosen]
        images = Undecoded(root, f"{spec} by {seed}", paths, shape, most, asked)
        return images, np.array([file.label for file in chosen], np.int32)

    return slicing.Source(
        len(names),
        lambda spec: sizes,
        read,
        class_names=tuple(names),
        has_validation=True,
        elsewhere="+".join(ROLES) if WHOLE in files else "test",
        notes=tuple(_notes(to_learn, shape, ignored)),
        fingerprint=fingerprints.of_files(root, [file.path for file in everything]),
    )


def _splits(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """The folders of the splits, or the folder itself as `WHOLE`."""
    if not root.is_dir():
        raise UserError(f"dataset.name=folder:{root}: there is no such folder")
    names = {folder.name for folder in _listed(root) if folder.is_dir()}
    if not names & set(ROLES):
        return {WHOLE: root}
    for name in sorted(names - set(ROLES)):
        meant = _ALIASES.get(name.casefold(), "train, validation or test")
        raise UserError(
            f"{root / name} is beside {' and '.join(sorted(names & set(ROLES)))}; call it {meant}, "
            "or move it away"
        )
    for split in ("train", "test"):
        if split not in names:
            raise UserError(
                f"{root} has {' and '.join(sorted(names))}, but no folder {split}; add one, or put "
                "the folders of the classes into it directly"
            )
    return {split: root / split for split in ROLES if split in names}


def _classes(folder: pathlib.Path, root: pathlib.Path, ignored: list[pathlib.Path]) -> Classes:
    """The image files of each class of a folder; other files are added to the ignored ones."""
    found: dict[str, list[pathlib.Path]] = {}
    for child in _listed(folder):
        _check_inside(child, root)
        if child.is_dir():
            name = _class_name(child)
            if name in found:
                raise UserError(f"{child} is called as another folder is; give it another name")
            found[name] = _images(child, root, ignored)
        elif _is_image(child):
            raise UserError(f"{child} is in the folder of no class; move it into one")
    if not found:
        raise UserError(
            f"{folder} has no folder; make one for each class, with its images, or choose another"
        )
    return found


def _class_name(folder: pathlib.Path) -> str:
    """A class as it is called in one form of Unicode, for systems differ in that of names."""
    name = unicodedata.normalize("NFC", folder.name)
    if not name.isprintable() or len(name) > _MAX_CLASS_NAME:
        raise UserError(
            f"{folder} is the name of a class; give it at most {_MAX_CLASS_NAME} printable "
            "characters"
        )
    return name


def _images(
    folder: pathlib.Path, root: pathlib.Path, ignored: list[pathlib.Path]
) -> list[pathlib.Path]:
    found = []
    for child in _listed(folder):
        _check_inside(child, root)
        if child.is_dir():
            raise UserError(
                f"{child} is a folder within that of a class; images lie in {folder} itself"
            )
        (found if _is_image(child) else ignored).append(child)
    if not found:
        raise UserError(
            f"{folder} is a class without an image ({', '.join(ENDINGS)}); add some, or remove it"
        )
    return found


def _is_image(path: pathlib.Path) -> bool:
    return path.suffix.lower() in ENDINGS


def _listed(folder: pathlib.Path) -> list[pathlib.Path]:
    """What is in a folder and not hidden, in the same order on every system."""
    try:
        children = [child for child in folder.iterdir() if not child.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from error
    return sorted(children, key=lambda child: unicodedata.normalize("NFC", child.name))


def _check_inside(path: pathlib.Path, root: pathlib.Path) -> None:
    """Raises a `UserError` for a link out of the folder, to nothing, or to a folder.

    A folder may be a stranger's, and what its links lead to somebody else's.
    """
    if not path.is_symlink():
        return
    target = path.resolve()
    if not target.is_relative_to(root):
        raise UserError(f"{path} is a symbolic link out of {root}; put a copy in its place")
    if not target.is_file():
        raise UserError(f"{path} is a symbolic link to no file; put a copy in its place")


def _class_names(root: pathlib.Path, found: Mapping[str, Classes]) -> list[str]:
    """The classes in order, the same ones in every split."""
    first, *others = found
    names = found[first]
    for split in others:
        for name in sorted(found[split].keys() ^ names.keys()):
            there, lacking = (split, first) if name in found[split] else (first, split)
            raise UserError(
                f"{root / there / name} has no counterpart in {root / lacking}; every split needs "
                "images of every class"
            )
    if len(names) < 2:
        raise UserError(f"{root} has one class, {min(names)!r}; a classifier needs two or more")
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, name))


def _look(
    root: pathlib.Path, found: Mapping[str, Classes], names: Sequence[str]
) -> dict[str, list[_File]]:
    """The files of each split, class by class, with their headers."""
    paths = [(s, k, path) for s in found for k, name in enumerate(names) for path in found[s][name]]
    headers = in_threads(read_header, [path for *_, path in paths], f"looking at {root.name}")
    files: dict[str, list[_File]] = {split: [] for split in found}
    for (split, label, path), header in zip(paths, headers, strict=True):
        files[split].append(_File(path, label, header))
    return files


def _common_channels(files: Sequence[_File]) -> int:
    counts = collections.Counter(file.header.channels for file in files)
    (most, count), *others = counts.most_common()
    if others:
        odd = next(file for file in files if file.header.channels != most)
        raise UserError(
            f"{odd.path} has {odd.header.channels} channel{'s' * (odd.header.channels > 1)}, and "
            f"{count} of {len(files)} images have {most}; --config.dataset.channels={most} brings "
            "all to that"
        )
    return most


def _common_size(files: Iterable[_File]) -> tuple[int, int]:
    """The size that most images have; the smallest of those that equally many have."""
    counts = collections.Counter((file.header.height, file.header.width) for file in files)
    return min(counts, key=lambda size: (-counts[size], size[0] * size[1], size))


def _notes(
    files: Sequence[_File], shape: tuple[int, int], ignored: Sequence[pathlib.Path]
) -> Iterable[str]:
    sizes = {(file.header.height, file.header.width) for file in files}
    if sizes != {shape}:
        yield (
            f"images of {len(sizes)} size{'s' * (len(sizes) > 1)} are brought to "
            f"{shape[0]}x{shape[1]} (height x width), which --config.dataset.size sets"
        )
    if ignored:
        yield f"{len(ignored)} files are no images by their endings, such as {ignored[0]}"
