"""What the commands ask of their process before they compute anything: memory and a cache."""

import ctypes
import os
import pathlib
import sys

import jax

# Of <malloc.h>: what mallopt sets.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_ARENA_MAX = -8
_LARGEST = 2**31 - 1


def set_up() -> None:
    """Keeps freed memory and compiled programs; to be called before JAX computes anything."""
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
    caches = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(caches) / "capsnet-stn" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder
