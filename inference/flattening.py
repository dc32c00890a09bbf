"""A function as one list of few primitives, for converters that know neither calls nor choices.

What JAX traces has calls within calls (`jax.jit`, custom derivatives, rematerialisation) and
choices among backends. Here all calls are written out, a choice among backends is the one that
names none, and clamps and paddings are written by other primitives, which jax2onnx 0.17 converts
for any number of images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal

# Parameters that hold what a call calls.
_CALLED = ("jaxpr", "call_jaxpr")
_CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "remat2",
    "checkpoint",
}


class _Branch(int):
    """The number of a choice's branch, known while tracing."""


def flatten(function: Callable[..., Any], *shapes: jax.ShapeDtypeStruct) -> ClosedJaxpr:
    """Traces a function without calls and choices in it; its value is the same.

    Args:
        function: From arrays to a tree of arrays.
        shapes: Of its arguments; sizes may be symbolic.
    """
    traced = jax.make_jaxpr(function)(*shapes)
    return jax.make_jaxpr(lambda *given: _run(traced.jaxpr, traced.consts, given))(*shapes)


def _run(jaxpr: Any, constants: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= dict(zip(jaxpr.invars, given, strict=True))

    def value(atom):
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        found = _step(equation, [value(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, found, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _step(equation: Any, given: list[Any]) -> Sequence[Any]:
    """The values of one equation."""
    primitive, parameters = equation.primitive, equation.params
    if primitive.name == "platform_index":
        return [_Branch(parameters["platforms"].index(None))]
    if given and isinstance(given[0], _Branch) and primitive.name == "cond":
        branch = parameters["branches"][given[0]]
        return _run(branch.jaxpr, branch.consts, given[1:])
    if any(isinstance(each, _Branch) for each in given):  # its type and bounds
        return [next(each for each in given if isinstance(each, _Branch))]
    if primitive.name in _CALLS:
        called = next(parameters[name] for name in _CALLED if name in parameters)
        return _run(getattr(called, "jaxpr", called), getattr(called, "consts", ()), given)
    if primitive.name == "clamp":
        low, values, high = given
        return [lax.min(lax.max(values, _like(low, values)), _like(high, values))]
    if primitive.name == "pad":
        values, filling = given
        return [_pad(values, filling, parameters["padding_config"])]
    found = primitive.bind(*given, **primitive.get_bind_params(parameters))
    return found if primitive.multiple_results else [found]


def _like(bound: Any, values: Any) -> Any:
    return bound if jnp.ndim(bound) else lax.broadcast(bound, values.shape)


def _pad(values: Any, filling: Any, padding: Sequence[tuple[int, int, int]]) -> Any:
    """Pads by concatenation, unless values are dropped or moved apart."""
    if any(low < 0 or high < 0 or between for low, high, between in padding):
        return lax.pad(values, filling, padding)
    for axis, sides in enumerate((low, high) for low, high, _ in padding):
        shapes = [(*values.shape[:axis], size, *values.shape[axis + 1 :]) for size in sides]
        low, high = (lax.broadcast(filling, shape) for shape in shapes)
        parts = [part for part, size in ((low, sides[0]), (values, 1), (high, sides[1])) if size]
        values = lax.concatenate(parts, axis) if len(parts) > 1 else values
    return values
