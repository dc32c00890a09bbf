"""Folders and files as users type them, and writing that leaves a file whole or as it was."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

from common.errors import UserError

PARTIAL = ".partial"
"""Ending of the name of a file that is being written."""


class NotWrittenError(UserError):
    """A file that could not be written; what was there before is still there.

    Attributes:
        reason: Of the system, as "No space left on device".
    """

    def __init__(self, path: pathlib.Path, error: OSError):
        self.reason = error.strerror or str(error)
        super().__init__(
            f"{path} cannot be written ({self.reason}); make room, or choose another folder"
        )


def expand(path: str | os.PathLike[str], flag: str) -> pathlib.Path:
    """A path that a user typed, its `~` replaced by the home folder.

    Args:
        path: Not empty.
        flag: What it was typed after, for the error.

    Raises:
        UserError: if it is empty, or there is no such home.
    """
    if not str(path).strip():
        raise UserError(f"{flag}={path} is empty; name a folder")
    try:
        expanded = pathlib.Path(path).expanduser()
        expanded.exists()
    except RuntimeError as error:  # no such user, or a user without a home
        raise UserError(f"{flag}={path}: {error}; write the path out") from error
    except OSError as error:  # too long, or behind a folder that may not be read
        raise UserError(f"{flag}={path} cannot be a folder ({error.strerror})") from error
    return expanded


def expand_given(path: str | None, flag: str) -> str | None:
    """Expands a path as `expand` does; None of one that the user left out."""
    return None if path is None else str(expand(path, flag))


def writable_folder(path: str | os.PathLike[str], flag: str) -> pathlib.Path:
    """A folder that exists, made if need be, and takes files.

    Args:
        path: As a user types it.
        flag: What it was typed after, for messages.

    Raises:
        UserError: if nothing can be written there.
    """
    folder = expand(path, flag)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written")
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{flag}={path} cannot be written ({reason}); name another folder"
        ) from error
    return folder


def writable_file(path: str | os.PathLike[str], flag: str) -> pathlib.Path:
    """A file that can be written, in a folder that is made if need be.

    Args:
        path: As a user types it.
        flag: What it was typed after, for messages.

    Raises:
        UserError: if it cannot, or is a folder.
    """
    file = expand(path, flag)
    if file.is_dir() or not file.name:
        raise UserError(f"{flag}={path} is a folder; name a file")
    writable_folder(file.parent, flag)
    return file


def write_text(path: pathlib.Path, content: str) -> None:
    """Writes a file in UTF-8, whole or not at all; raises as `write_all` does."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes JSON whole or not at all; raises as `write_all` does."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file whole or not at all; raises as `write_all` does."""
    write_all({path: content})


def write_all(files: Mapping[pathlib.Path, bytes]) -> None:
    """Writes files, of which none gets its name before all of them are on disk.

    Args:
        files: Contents by path; names are given in this order.

    Raises:
        NotWrittenError: if one cannot be written, and then nothing of it is left behind.
    """
    begun: list[pathlib.Path] = []
    path = pathlib.Path()
    try:
        for path, content in files.items():
            with open(_partial(path), "wb") as file:
                begun.append(_partial(path))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # or a power cut leaves the name without the content
        for path in files:
            os.replace(_partial(path), path)
    except OSError as error:
        for file in begun:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        raise NotWrittenError(path, error) from error


def _partial(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + PARTIAL)
