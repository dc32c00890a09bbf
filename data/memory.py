"""The memory that images may take."""

import math
import os
from collections.abc import Sequence

from common.errors import UserError


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
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
