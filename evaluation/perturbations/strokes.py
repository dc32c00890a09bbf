"""Strokes over single images: bright lines, dotted and in zigzag.

Points are (column, row) in pixels, from the centre of the first pixel.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# A stroke has faded away at this distance from its middle, in pixels, measured along the column.
_REACH = 2.3
# Columns between a zigzag's turns, and how far it turns to either side of its middle.
_ZIGZAG = 2.0
_ZIGZAG_MARGIN = 2
_DASH = 2
_EPS = 1e-7


def line(
    size: tuple[int, int], start: Float[Array, "2"], end: Float[Array, "2"]
) -> Float[Array, "height width 1"]:
    """Draws a line with soft sides, 1 in the middle; one that goes straight down is blank.

    Args:
        size: Height and width of the frame.
        start: Its columns begin here, rounded down.
        end: They end before this one, rounded up; further right than the start.
    """
    columns, rows = jnp.arange(size[1]), jnp.arange(size[0])[:, None]
    step = end[0] - start[0]
    slope = (end[1] - start[1]) / jnp.where(step == 0.0, 1.0, step)
    away = jnp.abs(rows - (start[1] + slope * (columns - start[0])))
    bright = jnp.log(jnp.maximum(1.0 - away / _REACH, _EPS)) + 1.0
    there = (columns >= jnp.floor(start[0])) & (columns < jnp.ceil(end[0])) & (step != 0.0)
    return jnp.where(there, jnp.maximum(bright, 0.0), 0.0)[..., None]


def dotted_line(
    size: tuple[int, int], first: Float[Array, ""], last: Float[Array, ""]
) -> Float[Array, "height width 1"]:
    """Draws a line across the frame whose columns are blank two by two.

    Args:
        size: Height and width of the frame.
        first: Its row in the first column.
        last: Its row in the last one, which is blank.
    """
    whole = line(size, jnp.stack([0.0, first]), jnp.stack([size[1] - 1.0, last]))
    drawn = (jnp.arange(size[1]) // _DASH) % 2 == 1
    return jnp.where(drawn[:, None], whole, 0.0)


def zigzag(
    size: tuple[int, int], first: Float[Array, ""], last: Float[Array, ""]
) -> Float[Array, "height width 1"]:
    """Draws a zigzag about a line from near the left to near the right side of the frame.

    Args:
        size: Height and width of the frame.
        first: Row at which the line begins.
        last: Row at which it ends, at most five above or below.
    """
    points = _turns(size[1] - 1 - 2 * _ZIGZAG_MARGIN, last - first)
    points += jnp.stack([float(_ZIGZAG_MARGIN), first])
    strokes = jax.vmap(functools.partial(line, size))(points[:-1], points[1:])
    return jnp.minimum(jnp.sum(strokes, axis=0), 1.0)


def _turns(width: int, rise: Float[Array, ""]) -> Float[Array, "points 2"]:
    """Computes the ends and turns of a zigzag about a line from (0, 0) to (width, rise)."""
    length = jnp.hypot(width, rise)
    fitting = jnp.floor((length - _ZIGZAG) / (2.0 * _ZIGZAG)) + 1.0
    most = max(int((math.hypot(width, 5.0) - _ZIGZAG) // (2.0 * _ZIGZAG)) + 1, 1)
    number = np.arange(most)
    side = jnp.asarray(_ZIGZAG * (-1.0) ** number)
    turns = jnp.stack([(2.0 * number + 1.0) * _ZIGZAG, side], axis=-1)
    # As MNIST-C ends it: the nearer to the line, the more of the way is left after whole turns.
    rest = length - 2.0 * _ZIGZAG * jnp.floor(length / (2.0 * _ZIGZAG))
    last = side[jnp.clip(fitting - 1, 0, most - 1).astype(int)]
    end = jnp.stack([length, last / (2.0 * jnp.maximum(rest, 0.5))])
    turns = jnp.where((number < fitting)[:, None], turns, end)
    along, beside = jnp.concatenate([jnp.zeros((1, 2)), turns, end[None]]).T
    cos, sin = width / length, rise / length
    return jnp.stack([cos * along - sin * beside, sin * along + cos * beside], axis=-1)
