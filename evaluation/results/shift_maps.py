"""Right and wrong over two-dimensional shifts, kept as the details of a result.

A result's details are numbers by name; here are the names, so that a suite can write a map and a
report can draw it.
"""

import re
from collections.abc import Mapping

import numpy as np

_SHIFTED = re.compile(r"(.+) shifted by (-?\d{1,3}), (-?\d{1,3})")


def shift_details(name: str, right: np.ndarray) -> dict[str, float]:
    """A map as numbers.

    Args:
        name: Whose map it is, as in "all images".
        right: `[2 reach + 1, 2 reach + 1]`, how often the answer is right, in [0, 1]; rows are
            shifts along y, columns along x, both from -reach to reach pixels.

    Returns:
        A number for every shift, zeros too.
    """
    reach = len(right) // 2
    return {
        f"{name} shifted by {x - reach}, {y - reach}": float(right[y, x])
        for y in range(len(right))
        for x in range(len(right))
    }


def read_shifts(details: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The maps among details that have every shift, by name, in their order."""
    found: dict[str, dict[tuple[int, int], float]] = {}
    for key, value in details.items():
        if match := _SHIFTED.fullmatch(key):
            found.setdefault(match[1], {})[int(match[3]), int(match[2])] = value
    squares = {name: _square(values) for name, values in found.items()}
    return {name: square for name, square in squares.items() if square is not None}


def _square(values: Mapping[tuple[int, int], float]) -> np.ndarray | None:
    reach = max(max(map(abs, shift)) for shift in values)
    if len(values) != (2 * reach + 1) ** 2:
        return None
    shifts = range(-reach, reach + 1)
    return np.array([[values[y, x] for x in shifts] for y in shifts])


def is_of_map(name: str) -> bool:
    """Whether a detail is part of a map rather than a number of its own."""
    return bool(_SHIFTED.fullmatch(name))


def changes(right: np.ndarray) -> np.ndarray:
    """How often neighbouring shifts, a pixel apart along x or y, differ in being right.

    Args:
        right: `[count, height, width]` booleans, a map for each image.

    Returns:
        `[count]` shares of all pairs of neighbours, in [0, 1].
    """
    along_y = right[:, 1:] != right[:, :-1]
    along_x = right[:, :, 1:] != right[:, :, :-1]
    pairs = [each.reshape(len(right), -1) for each in (along_y, along_x)]
    return np.mean(np.concatenate(pairs, axis=1), axis=1)
