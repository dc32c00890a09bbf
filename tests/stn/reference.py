"""Sampling in plain loops, one output pixel and one tap at a time."""

import itertools
import math

import numpy as np


def to_pixel(coordinate, size, align_corners):
    if align_corners:
        return (coordinate + 1) / 2 * (size - 1)
    return ((coordinate + 1) * size - 1) / 2


def fold(position, size, padding, align_corners):
    """Where the padding reads a position."""
    if padding == "border":
        return min(max(position, 0), size - 1)
    if padding == "reflection":
        low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
        if low == high:
            return 0.0
        while position < low or position > high:
            position = 2 * low - position if position < low else 2 * high - position
        return min(max(position, 0), size - 1)
    return position


def cubic(distance, a=-0.75):
    distance = abs(distance)
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    if distance < 2:
        return a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return 0.0


def axis_taps(position, size, method, padding, align_corners):
    """(index, weight) pairs; an index outside reads zero."""
    if method == "bicubic":
        lower = math.floor(position)
        return [
            (round(fold(tap, size, padding, align_corners)), cubic(position - tap))
            for tap in range(lower - 1, lower + 3)
        ]
    position = fold(position, size, padding, align_corners)
    if method == "nearest":
        return [(int(np.rint(position)), 1.0)]
    lower = math.floor(position)
    return [(lower, 1 - (position - lower)), (lower + 1, position - lower)]


def sample(images, grid, method, padding, align_corners):
    _, *spatial, channels = images.shape
    out = np.zeros((*grid.shape[:-1], channels))
    for point in np.ndindex(*grid.shape[:-1]):
        coordinates = grid[point][::-1]
        axes = [
            axis_taps(to_pixel(c, size, align_corners), size, method, padding, align_corners)
            for c, size in zip(coordinates, spatial, strict=True)
        ]
        for taps in itertools.product(*axes):
            index = tuple(tap[0] for tap in taps)
            if all(0 <= i < size for i, size in zip(index, spatial, strict=True)):
                out[point] += math.prod(tap[1] for tap in taps) * images[(point[0], *index)]
    return out
