"""Folders as users type them."""

import os
import pathlib

from data.errors import UserError


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
