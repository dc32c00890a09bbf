"""Set-up of a command's process before it computes anything: memory and a cache.

Nothing here may end a command: what a machine does not offer is done without.
"""

import ctypes
import os
import pathlib
import re
import socket
import sys

import jax

from common.errors import UserError, first_line

# Of <malloc.h>: what mallopt sets.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_ARENA_MAX = -8
_LARGEST = 2**31 - 1


def set_up() -> None:
    """Keeps freed memory and compiled programs; to be called first."""
    keep_freed_memory()
    keep_compiled_programs()


def keep_freed_memory() -> bool:
    """Tells the C library to keep memory that is freed, for the next step to find it at hand.

    Every step on a CPU allocates temporaries of hundreds of megabytes. GNU's C library returns
    blocks of that size to the kernel as soon as they are free and gets them again page by page,
    which can take longer than the arithmetic. With this the process stays as large as it ever was.

    Returns:
        Whether the C library took all settings; False where it is not GNU's.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # One heap for all threads: what one of them frees, any other can reuse.
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_ARENA_MAX, 1))
    taken = [mallopt(ctypes.c_int(name), ctypes.c_int(value)) for name, value in settings]
    return all(taken)


def keep_compiled_programs() -> pathlib.Path | None:
    """Keeps what took over a second to compile in a folder of the user's, for the next start.

    A folder in JAX_COMPILATION_CACHE_DIR is left as it is; JAX_ENABLE_COMPILATION_CACHE=false
    turns this off.

    Returns:
        The folder, or None if there is none that can be written.
    """
    chosen = jax.config.values["jax_compilation_cache_dir"]
    if chosen is not None:
        return pathlib.Path(chosen)
    try:
        folder = _user_caches() / "capsnet-stn" / "compiled"
        if not folder.is_absolute():  # an empty HOME
            return None
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # pathlib's RuntimeError: a user without a home
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _user_caches() -> pathlib.Path:
    """XDG_CACHE_HOME, which counts only if it is absolute, as its specification says."""
    chosen = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return chosen if chosen.is_absolute() else pathlib.Path.home() / ".cache"


def join_processes(coordinator: str | None, processes: int, process: int) -> None:
    """Makes this process one of several that train together; call it before anything else.

    Args:
        coordinator: HOST:PORT of process 0; None for a process on its own.
        processes: How many there are.
        process: This one's number, from 0.

    Raises:
        UserError: if the numbers do not fit, or the others do not come together.
    """
    if processes < 1:
        raise UserError(f"--processes={processes}: must be at least 1")
    if not 0 <= process < processes:
        raise UserError(f"--process={process}: must be in [0, {processes}), see --processes")
    if coordinator is None:
        if processes > 1:
            raise UserError(f"--processes={processes} needs --coordinator=HOST:PORT of process 0")
        return
    _check_address(coordinator)
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"--coordinator={coordinator}: {first_line(error)}") from error


def _check_address(coordinator: str) -> None:
    """Looks an address up, for JAX would try it for minutes and then end the process."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]\s/]+):(\d{1,5})", coordinator, re.ASCII)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise UserError(
            f"--coordinator={coordinator}: give HOST:PORT of process 0, as in 10.0.0.1:1234"
        )
    host, port = match[1].strip("[]"), int(match[2])
    try:
        socket.getaddrinfo(host, port)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"--coordinator={coordinator}: no such host {host} ({reason})") from error
