"""The memory that images may take."""

import math
import os
import pathlib
import sys
from collections.abc import Sequence

from common.errors import UserError

# Of the container that this process is in, bytes or "max": by version 2 of control groups, and 1.
_LIMITS = tuple(
    pathlib.Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes")
)


def check_fits(shape: Sequence[int], what: str) -> None:
    """Raises a `UserError` if so many bytes are more than half of this machine's memory.

    Half, for images are copied once more when they are put together, and when they go to a device.

    Args:
        shape: Of an array of bytes that is about to be made.
        what: The argument that asked for it, with its value.
    """
    wanted, there = math.prod(shape), physical()
    if wanted > there // 2:
        raise UserError(
            f"{what}: images of shape {tuple(shape)} take {wanted / 1e9:.4g} GB, more than half "
            f"of this machine's {there / 1e9:.4g} GB of memory; choose a smaller value or fewer "
            "images"
        )


def physical() -> int:
    """Bytes of memory that this machine has, or allows the container that this process is in.

    Where the system tells neither, as Windows does, more than any machine has.
    """
    return min([_of_machine(), *filter(None, map(_limit, _LIMITS))])


def _of_machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):  # Windows has no such function, others not both names
        return sys.maxsize


def _limit(path: pathlib.Path) -> int | None:
    """Bytes by a file of a control group; None where it is absent or sets no limit."""
    try:
        written = path.read_text().strip()
    except OSError:
        return None
    return int(written) if written.isdecimal() else None
