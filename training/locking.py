"""A lock that one process at a time holds, and that its death releases."""

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator

from absl import logging

from common.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def lock(path: pathlib.Path) -> Iterator[None]:
    """Holds a file's lock. The file stays, for removing it would let two processes in.

    The kernel lets go of it when the process ends, however it ends. Where the file system or the
    platform has no locks, a warning says so.

    Args:
        path: Created if missing, and never written; its folder exists.

    Raises:
        UserError: if another process holds it.
        OSError: if it cannot be created.
    """
    # Not through a symbolic link, which may point anywhere in a folder that somebody sent.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        _acquire(handle, path)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: pathlib.Path) -> None:
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "this platform has no file locks")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise UserError(
                f"--workdir={path.parent}: another process is training here; wait for it, stop it, "
                "or choose another folder"
            ) from error
        logging.warning(
            "%s cannot be locked (%s): start no second process in this folder", path, error.strerror
        )
