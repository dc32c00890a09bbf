"""Finding a dataset by its name: the bundled MNIST, files, prepared TFDS data, or a download.

They are tried in that order, so nothing reaches for a network while the data is at hand, and a
folder of the user's own comes before any name of TFDS.
"""

import difflib
import os
import pathlib

from absl import logging

from common.errors import UserError, first_line
from data import affnist, bundled_mnist, examples, idx, preparation, slicing

SYSTEM_FOLDER = pathlib.Path("/usr/share/datasets")
_DEFAULT_FOLDER = "~/tensorflow_datasets"
_MAX_NAME = 200


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


def open_source(name: str, folder: pathlib.Path, size: int) -> slicing.Source:
    """Finds a dataset.

    Args:
        name: See `data.sources.DatasetConfig`.
        folder: Of prepared data, by `data_folder`.
        size: Height and width that images are brought to; 0 leaves them as they are.

    Raises:
        UserError: if there is none of that name, or what is there is damaged.
    """
    check_name(name)
    if name == "mnist":
        return _open_mnist(folder, size)
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
    if name == "affnist":
        return affnist.open_folder(own, size)
    _check_not_incomplete(name, own)
    if not preparation.is_public(name):
        raise UserError(_not_found(name, folder, [own, *dict.fromkeys(system)]))
    return examples.open_prepared(name, preparation.prepare_public(name, folder), size)


def check_name(name: str) -> None:
    """Raises a `UserError` for a name that is no name of a folder within another one.

    It may come from a stranger's configuration.
    """
    parts = pathlib.PurePosixPath(name).parts if isinstance(name, str) else ()
    outside = not parts or name.startswith(("/", "~")) or ".." in parts or "\\" in name
    if outside or not name.isprintable() or len(name.encode()) > _MAX_NAME:
        raise UserError(
            f"dataset.name={name!r:.{_MAX_NAME}} is not a name of a dataset or of a folder within "
            "the data directory; name another directory with --data_dir"
        )


def _open_mnist(folder: pathlib.Path, size: int) -> slicing.Source:
    try:
        builder = preparation.prepare_bundled(bundled_mnist.BundledMnist, folder)
    except OSError as error:
        logging.warning(
            "reading the bundled MNIST without preparing it, for %s cannot be written (%s)",
            folder,
            first_line(error),
        )
        return idx.open_folder(
            bundled_mnist.FOLDER, size, num_classes=10, checksums=bundled_mnist.CHECKSUMS
        )
    return examples.open_prepared("mnist", builder, size)


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
