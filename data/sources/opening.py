"""Finding a dataset by its name: the bundled MNIST, files, prepared TFDS data, or a download.

"folder:PATH" names files by their path. For any other name they are tried in that order, so nothing
reaches for a network while the data is at hand, and a folder of the user's own comes before any
name of TFDS.
"""

import difflib
import os
import pathlib
from typing import Any

from absl import logging

from common.errors import UserError, first_line
from common.files import expand
from data.sources import (
    affnist,
    arrays,
    bundled_mnist,
    examples,
    folders,
    idx,
    preparation,
    rotated_mnist,
    slicing,
)

SYSTEM_FOLDER = pathlib.Path("/usr/share/datasets")
_DEFAULT_FOLDER = "~/tensorflow_datasets"
_MAX_NAME = 200
_MAX_PATH = 400
# Sets that are neither of TFDS nor IDX files, and are read from files as their authors wrote them.
_OF_AUTHORS = {"affnist": affnist.open_folder, rotated_mnist.NAME: rotated_mnist.open_folder}
OWN = "folder:"
"""Before the path of a folder of images or IDX files, or of a file of arrays."""


def data_folder(data_dir: str | None) -> pathlib.Path:
    """The TFDS data directory: the argument, or `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Raises:
        UserError: if it cannot be a folder, or is in the home directory of a user who has none.
    """
    variable = os.environ.get("TFDS_DATA_DIR")
    chosen = str(data_dir or variable or _DEFAULT_FOLDER)
    named = "--data_dir" if data_dir or not variable else "TFDS_DATA_DIR"
    try:
        folder = pathlib.Path(chosen).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{named}={chosen}: {first_line(error).rstrip('.')}; name another folder with "
            "--data_dir or TFDS_DATA_DIR"
        ) from error
    if "://" in chosen or "\0" in chosen:
        raise UserError(f"{named}={chosen!r} is not a folder of this machine")
    if os.path.exists(folder) and not folder.is_dir():
        raise UserError(f"{named}={chosen} is not a folder")
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{named}={chosen} cannot be read: permission denied")
    return folder


def open_source(
    name: str,
    folder: pathlib.Path,
    size: int = 0,
    *,
    shape: tuple[int, ...] = (),
    channels: int = 0,
    seed: int = 0,
) -> slicing.Source:
    """Finds a dataset.

    Args:
        name: See `data.sources.load.DatasetConfig`.
        folder: Of prepared data, by `data_folder`.
        size: Height and width that images are brought to; 0 leaves them as they are.
        shape: Height, width and channels that files of images are brought to, in place of `size`
            and `channels`; empty for those.
        channels: Of files of images; see `data.sources.folders.open_folder`.
        seed: See there.

    Raises:
        UserError: if there is none of that name, or what is there is damaged.
    """
    check_name(name)
    if name.startswith(OWN):
        path = _own_path(name, folder)
        if path.suffix == ".npz" and not path.is_dir():
            return arrays.open_file(path, size=size, seed=seed)
        if path.is_dir() and not idx.missing_files(path):
            return _open_idx(path, size)
        if shape:
            height, width, channels = shape
            return folders.open_folder(path, size=(height, width), channels=channels, seed=seed)
        return folders.open_folder(path, size=size, channels=channels, seed=seed)
    if name == "mnist":
        return bundled_mnist.open_bundled(size)
    own, system = folder / name, [SYSTEM_FOLDER / n for n in (name, name.replace("_", "-"))]
    if os.path.exists(own) and not own.is_dir():
        raise UserError(f"dataset.name={name!r}: {own} is not a folder")
    if not idx.missing_files(own):
        return _open_idx(own, size)
    builder = preparation.find_prepared(name, folder)
    if builder is not None:
        return examples.open_prepared(name, builder, size)
    for candidate in system:
        if not idx.missing_files(candidate):
            return _open_idx(candidate, size)
    if name in _OF_AUTHORS:
        return _OF_AUTHORS[name](own, size)
    _check_not_incomplete(name, own)
    if not preparation.is_public(name):
        raise UserError(_not_found(name, folder, [own, *dict.fromkeys(system)]))
    return examples.open_prepared(name, preparation.prepare_public(name, folder), size)


def public_name(name: str) -> str:
    """The name of a dataset in records and messages: without the folders that its own lies in."""
    return f"{OWN}{pathlib.Path(name.removeprefix(OWN)).name}" if name.startswith(OWN) else name


def _own_path(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The path of a user's own images: in the working directory, or else in the data directory.

    Raises:
        UserError: if nothing is there.
    """
    path = expand(name.removeprefix(OWN), f"--config.dataset.name={OWN}")
    there = [each for each in (path, folder / path) if each.exists()]
    if not there:
        raise UserError(
            f"dataset.name={name}: there is no {path}, neither in {os.getcwd()} nor in {folder}; "
            "--data_dir names another"
        )
    return there[0].resolve()


def check_name(name: str) -> None:
    """Raises a `UserError` for a name that is no name of a folder within another one.

    It may come from a stranger's configuration. What `folder:` names may be anywhere, and nothing
    but images is read there.
    """
    if isinstance(name, str) and name.startswith(OWN):
        path = name.removeprefix(OWN)
        if not path.strip() or not path.isprintable() or len(path.encode()) > _MAX_PATH:
            raise UserError(
                f"dataset.name={name!r:.{_MAX_PATH}} names no folder or file; write its path after "
                f"{OWN}, of at most {_MAX_PATH} plain characters"
            )
        return
    parts = pathlib.PurePosixPath(name).parts if isinstance(name, str) else ()
    outside = not parts or name.startswith(("/", "~")) or ".." in parts or "\\" in name
    if outside or not name.isprintable() or len(name.encode()) > _MAX_NAME:
        raise UserError(
            f"dataset.name={name!r:.{_MAX_NAME}} is not a name of a dataset or of a folder within "
            "the data directory; name another directory with --data_dir"
        )


def check_named(config: Any) -> None:
    """Raises a `UserError` if images that are rendered of others are named as files.

    Args:
        config: Of any dataset; one with a `source` has a name for its records alone.
    """
    name = getattr(config, "name", None)
    if hasattr(config, "source") and isinstance(name, str) and name.startswith(OWN):
        raise UserError(
            f"dataset.name={name}: is only the title of what is rendered; name what it is made of, "
            f"--config.dataset.source.name={name}"
        )


def _open_idx(folder: pathlib.Path, size: int) -> slicing.Source:
    logging.info("reading the IDX files in %s", folder)
    return idx.open_folder(folder, size)


def _check_not_incomplete(name: str, folder: pathlib.Path) -> None:
    """Raises a `UserError` that says what a dataset's folder lacks, if there is one."""
    if not folder.is_dir():
        return
    missing = idx.missing_files(folder)
    if len(missing) < sum(map(len, idx.FILES.values())):
        raise UserError(
            f"dataset.name={name!r}: of the four IDX files, {folder} lacks {', '.join(missing)} "
            "(plain or .gz)"
        )
    if not preparation.is_public(name):
        raise UserError(
            f"dataset.name={name!r}: {folder} has neither prepared TFDS data (dataset_info.json) "
            f"nor the four IDX files {', '.join(missing)} (plain or .gz)"
        )


def _not_found(name: str, folder: pathlib.Path, looked: list[pathlib.Path]) -> str:
    """Says what was looked for, and what is called almost the same."""
    own = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(name, [*own, *preparation.public_names()], n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return (
        f"dataset.name={name!r} cannot be opened: there is no folder "
        f"{' or '.join(map(str, looked))}, and {name!r} is not a TFDS dataset{hint}"
    )
