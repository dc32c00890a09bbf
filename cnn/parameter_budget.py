"""Networks of a given size: the width at which a family of them has so many parameters."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from flax import nnx

from cnn.validation import MAX_PARAMETERS, MAX_SIZE, whole

_Network = TypeVar("_Network", bound=nnx.Module)
_PATIENCE = 8  # widths that are tried before the search trusts halving too


def count_parameters(build: Callable[[], nnx.Module]) -> int:
    """The number of parameters of the module that `build` creates; nothing is computed."""
    parameters = nnx.state(nnx.eval_shape(build), nnx.Param)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(parameters))


def match_width(build: Callable[[int], nnx.Module], parameters: int) -> int:
    """Finds the width whose network comes nearest to a number of parameters.

    Args:
        build: From a width, at least 1, to a network; a wider one must have more parameters.
        parameters: The number wanted.

    Returns:
        The width.

    Raises:
        ValueError: if the narrowest network already has more than twice as many, if the widest
            that is tried has fewer, or if it is no number from 1 to `MAX_PARAMETERS`.
    """
    if requirement := whole(most=MAX_PARAMETERS)(parameters):
        raise ValueError(f"parameters={parameters}: {requirement}")

    @functools.cache
    def count(width: int) -> int:
        return count_parameters(lambda: build(width))

    smallest = count(1)
    if smallest > 2 * parameters:
        raise ValueError(
            f"parameters={parameters}: the narrowest such network already has {smallest}"
        )
    if smallest >= parameters:
        return 1
    low, high = 1, MAX_SIZE
    tried = [1, 2, 4]
    while high - low > 1:
        # Matrices grow with the square of the width, so three networks tell where to look.
        guess = _where_quadratic(tried[-3:], [count(width) for width in tried[-3:]], parameters)
        # Of a family that grows otherwise, halving the range at every other turn finds it too.
        if len(tried) % 2 and len(tried) > _PATIENCE:
            guess = (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
        low, high = (guess, high) if count(guess) < parameters else (low, guess)
        tried = [width for width in tried if width != guess] + [guess]
    if high == MAX_SIZE and count(high) < parameters:
        raise ValueError(f"parameters={parameters}: no network of a width up to {high} has them")
    return min((low, high), key=lambda width: abs(count(width) - parameters))


def build_matched(
    network: Callable[..., _Network],
    config: Any,
    image_shape: Sequence[int],
    num_classes: int,
    rngs: nnx.Rngs,
) -> _Network:
    """Creates a network of the width at which it comes nearest to its configuration's parameters.

    Args:
        network: From the configuration, the images' shape and the number of classes, and, by their
            names, a width and `rngs`, to a network; see `match_width`.
        config: A dataclass of numbers, texts and tuples; `parameters` is one of its fields.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: as `match_width`, and as the network does.
    """
    fields = dataclasses.astuple(config)
    width = _matched_width(network, type(config), fields, tuple(image_shape), num_classes)
    return network(config, image_shape, num_classes, width=width, rngs=rngs)


# A command builds its network several times, and finding the width takes a second.
@functools.lru_cache(maxsize=64)
def _matched_width(
    network: Callable[..., nnx.Module],
    kind: Callable[..., Any],
    fields: tuple[Any, ...],
    image_shape: tuple[int, ...],
    num_classes: int,
) -> int:
    config = kind(*fields)
    return match_width(
        lambda width: network(config, image_shape, num_classes, width=width, rngs=nnx.Rngs(0)),
        config.parameters,
    )


def _where_quadratic(widths: Sequence[int], counts: Sequence[int], parameters: int) -> int:
    """The whole width below which the parabola through three points is below a number."""
    (x, y, z), (of_x, of_y, of_z) = widths, counts
    slope, next_slope = (of_y - of_x) / (y - x), (of_z - of_y) / (z - y)
    square = (next_slope - slope) / (z - x)
    linear = slope - square * (x + y)
    constant = of_x - parameters - x * (slope - square * y)
    inside = linear**2 - 4.0 * square * constant
    if inside < 0.0 or (square == 0.0 and linear <= 0.0):
        return z
    # Of the two roots the one that is stable where the square vanishes.
    return int(-2.0 * constant / (linear + math.sqrt(inside)))
