"""Places that commands write to, looked at before the work whose results go there."""

import os
import pathlib
import sys
import tempfile

from data.errors import UserError
from data.folders import expand


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


def show_anything() -> None:
    """Lets a screen whose encoding lacks a character show "?" in its place."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test's or a notebook's stand-in has none
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
