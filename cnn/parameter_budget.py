"""Networks of a given size: the width at which a family of them has so many parameters."""

import math
from collections.abc import Callable

import jax
from flax import nnx

from cnn.validation import MAX_PARAMETERS, MAX_SIZE, whole


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

    def count(width: int) -> int:
        return count_parameters(lambda: build(width))

    smallest = count(1)
    if smallest > 2 * parameters:
        raise ValueError(
            f"parameters={parameters}: the narrowest such network already has {smallest}"
        )
    high = 2
    while count(high) < parameters:
        if high >= MAX_SIZE:
            raise ValueError(
                f"parameters={parameters}: no network of a width up to {high} has them"
            )
        high *= 2
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < parameters else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - parameters))
