"""Errors of both families on a device, against float64 on the host.

A capsule network is two convolutions, votes and a routing; a spatial transformer is a sampler at an
affine grid and a convolution. Theta is given and not predicted: bilinear sampling has derivatives
that jump where a point crosses a pixel's centre, and any rounding in a localisation network would
move points across.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks import routing
from benchmarks.accelerator.precision import PRECISIONS
from capsnet.routing import Capsules, Sizes
from capsnet.vectors import length, squash
from capsnet.votes import make_votes
from cnn import convolve
from stn import affine_grid, sample, sample_mipmapped, sample_supersampled

BATCH = 4
_KERNEL = 5
_CHANNELS = 32
SAMPLERS: dict[str, Callable[..., jax.Array]] = {
    **{
        f"{method}, {lowering}": functools.partial(sample, method=method, lowering=lowering)
        for method in ("bilinear", "bicubic", "nearest")
        for lowering in ("gather", "packed", "matmul")
        if lowering != "packed" or method == "bilinear"
    },
    "supersampled": functools.partial(sample_supersampled, factor=2),
    "mipmapped": functools.partial(sample_mipmapped, levels=2),
}
DEFAULT = "default"


def measure_capsules(name: str, side: int) -> dict[str, float]:
    """Errors of a capsule network.

    Args:
        name: Of its routing, as in `benchmarks.routing.ROUTINGS`.
        side: Of the images, in pixels.

    Returns:
        See `measure_errors`.
    """
    left = (side - _KERNEL + 1 - _KERNEL) // 2 + 1
    in_capsules = left * left * _CHANNELS // routing.IN_DIM
    built = routing.build(name, in_capsules)
    graph, weights = nnx.split(built) if isinstance(built, nnx.Module) else (None, {})
    random = np.random.default_rng(0)
    sizes = Sizes(in_capsules, routing.IN_DIM, routing.OUT_CAPSULES, routing.OUT_DIM)

    def network(images, first, primary, kernel, weights):
        features = nnx.relu(convolve(images, first))
        maps = convolve(features, primary, strides=(2, 2))
        poses = squash(maps.reshape(BATCH, in_capsules, routing.IN_DIM))
        votes = make_votes(poses, kernel)
        route = built if graph is None else nnx.merge(graph, weights)
        return routing.our_outputs(route, votes, Capsules(poses, length(poses)))

    return measure_errors(
        network,
        random.uniform(size=(BATCH, side, side, 1)),
        random.normal(size=(_KERNEL, _KERNEL, 1, _CHANNELS)) / _KERNEL,
        random.normal(size=(_KERNEL, _KERNEL, _CHANNELS, _CHANNELS)) / _KERNEL / 6.0,
        random.normal(size=sizes) / 10.0,
        jax.tree.map(np.asarray, weights),
    )


def measure_transformer(name: str, side: int) -> dict[str, float]:
    """Errors of a spatial transformer.

    Args:
        name: Of its sampler, of `SAMPLERS`.
        side: Of the images, in pixels.

    Returns:
        See `measure_errors`.
    """
    random = np.random.default_rng(0)

    def network(images, theta, kernel):
        return convolve(SAMPLERS[name](images, affine_grid(theta, (side, side))), kernel)

    return measure_errors(
        network,
        random.uniform(size=(BATCH, side, side, 1)),
        np.eye(2, 3) + 0.3 * random.normal(size=(BATCH, 2, 3)),
        random.normal(size=(_KERNEL, _KERNEL, 1, _CHANNELS)) / _KERNEL,
    )


def measure_errors(network: Callable[..., Any], *arguments: Any) -> dict[str, float]:
    """Compares outputs and gradients of a function with itself in float64.

    Args:
        network: Of the arguments; its outputs are real.
        arguments: Trees of NumPy arrays, which are rounded to float32 first.

    Returns:
        The largest error of "outputs" and of "gradients" (of half the outputs' squared length, by
        every argument) at "float32" and at "default" precision, against the largest number of the
        array that it is in.
    """
    rounded = jax.tree.map(lambda array: np.asarray(array, np.float32), arguments)

    def evaluate(*arguments):
        outputs, transpose = jax.vjp(network, *arguments)
        return outputs, transpose(outputs)

    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        exact = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), rounded)
        expected = jax.tree.map(np.asarray, jax.jit(evaluate)(*exact))
    settings = {"float32": PRECISIONS["float32"].context(), DEFAULT: contextlib.nullcontext()}
    errors = {}
    for precision, context in settings.items():
        with context:
            found = jax.jit(evaluate)(*rounded)
        for part, ours, reference in zip(("outputs", "gradients"), found, expected, strict=True):
            errors[f"{part}, {precision}"] = routing.largest_error(ours, reference)
    return errors
