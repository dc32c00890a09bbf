"""Times every routing with its votes against the same procedure written as plain einsums.

    python -m benchmarks.routing --json routing.json
    python -m benchmarks.routing dynamic self_attention --rounds 3

From capsules and matrices to poses, and to the gradients of all of them and of the routing's own
weights, at the sizes of CapsNet on 28x28 pixels, for dynamic routing on 40x40 too. Peak memory is
what XLA reserves for temporaries. Where `benchmarks.peers` has the routing, PyTorch takes part, and
both with products in bfloat16. Nothing is timed before it is seen to give our numbers.
"""

import importlib
import math
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks import plain_routings
from benchmarks.reporting import (
    describe_torch,
    has_torch,
    make_parser,
    name_of,
    ragged_table,
    write_figures,
)
from benchmarks.timing import Contender, measure
from capsnet.routing import (
    Capsules,
    DynamicRouting,
    ExpectationMaximisationRouting,
    InvertedAttentionRouting,
    Routing,
    SelfAttentionRouting,
    SelfRouting,
    Sizes,
    UniformRouting,
    VariationalBayesRouting,
)
from capsnet.vectors import squash
from capsnet.votes import make_votes
from training import process

BATCH = 128
IN_DIM, OUT_CAPSULES, OUT_DIM = 8, 10, 16
IN_CAPSULES = {"dynamic": (1152, 4608)}
USUAL_IN_CAPSULES = (1152,)
DIRECTIONS = ("forward", "forward + gradients")
OURS, PLAIN, PEER = "ours", "plain einsums", "PyTorch"
ROUTINGS: dict[str, Routing] = {
    "dynamic": DynamicRouting(),
    "uniform": UniformRouting(),
    "self_attention": SelfAttentionRouting(),
    "self_routing": SelfRouting(),
    "inverted_attention": InvertedAttentionRouting(),
    "expectation_maximisation": ExpectationMaximisationRouting(),
    "variational_bayes": VariationalBayesRouting(),
}
"""By the name of the plain form in `benchmarks.plain_routings`."""
# The module of `benchmarks.peers` and the class in it.
PEERS = {
    "dynamic": ("capsnet", "DynamicRouting"),
    "self_attention": ("self_attention", "SelfAttention"),
    "expectation_maximisation": ("expectation_maximisation", "ExpectationMaximisation"),
}
# Ours may take so much longer than the plain form, and no more.
LIMIT = 1.5
# The largest error that one contender may have, against the largest number of an array.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.3}

Route = Callable[..., tuple[jax.Array, ...]]


def our_outputs(routing, votes, capsules: Capsules) -> tuple[jax.Array, ...]:
    """Poses, and the activations where the routing has any besides lengths."""
    routed = routing(votes, capsules)
    return (routed.poses,) if routed.activations is None else (routed.poses, routed.activations)


def plain_votes(capsules, kernel):
    """Equation 2 of Sabour et al. (2017) as an einsum."""
    return jnp.einsum("bic,icjd->bijd", capsules, kernel)


def make_inputs(batch: int, in_capsules: int) -> tuple[Capsules, jax.Array]:
    """Squashed capsules with activations in [0.1, 1), and the matrices of their votes."""
    random = np.random.default_rng(0)
    poses = random.normal(size=(batch, in_capsules, IN_DIM)).astype(np.float32)
    activations = random.uniform(0.1, 1.0, (batch, in_capsules)).astype(np.float32)
    kernel = random.normal(size=(in_capsules, IN_DIM, OUT_CAPSULES, OUT_DIM)) / 10.0
    return Capsules(squash(poses), jnp.asarray(activations)), jnp.asarray(kernel, jnp.float32)


def build(name: str, in_capsules: int) -> Any:
    """A routing, with weights other than the equal ones that it starts with."""
    sizes = Sizes(in_capsules, IN_DIM, OUT_CAPSULES, OUT_DIM)
    routing = ROUTINGS[name].build(sizes, nnx.Rngs(0))
    if isinstance(routing, nnx.Module):
        random = np.random.default_rng(1)
        for _, weights in nnx.iter_graph(routing):
            if isinstance(weights, nnx.Param):
                drawn = 0.1 * random.normal(size=weights.shape)
                weights[...] = weights[...] + jnp.asarray(drawn, jnp.float32)
    return routing


def make_program(
    name: str, which: str, direction: str, batch: int, in_capsules: int, dtype: str = "float32"
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function of weights, capsules and matrices, and arguments for it.

    Args:
        name: Of `ROUTINGS`.
        which: `OURS` or `PLAIN`.
        direction: Of `DIRECTIONS`; the gradients are of half the outputs' squared length.
        batch: Images.
        in_capsules: Input capsules of each.
        dtype: Compute type of the votes; the routing is float32.
    """
    routing = build(name, in_capsules)
    graph, weights = nnx.split(routing) if isinstance(routing, nnx.Module) else (None, {})
    make = make_votes if which == OURS else plain_votes
    route = our_outputs if which == OURS else getattr(plain_routings, name)

    def forward(weights, capsules, kernel):
        built = routing if graph is None else nnx.merge(graph, weights)
        votes = make(jnp.astype(capsules.poses, dtype), jnp.astype(kernel, dtype))
        return route(built, votes, capsules)

    def with_gradients(*arguments):
        outputs, transpose = jax.vjp(forward, *arguments)
        return outputs, transpose(outputs)

    arguments = (weights, *make_inputs(batch, in_capsules))
    return (forward if direction == DIRECTIONS[0] else with_gradients), arguments


def make_contender(*described: Any) -> tuple[Contender, float]:
    """A compiled call of `make_program`'s, and the bytes of its temporaries.

    The bytes are NaN where XLA does not say.
    """
    function, arguments = make_program(*described)
    compiled = jax.jit(function).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    return (
        lambda: jax.block_until_ready(compiled(*arguments)),
        memory.temp_size_in_bytes if memory else math.nan,
    )


def their_contender(name: str, direction: str, in_capsules: int, dtype: str) -> Contender:
    """PyTorch's call, by its peer of a routing."""
    torch = importlib.import_module("torch")  # optional, for the type checker too
    peers = importlib.import_module("benchmarks.peers.routings")
    module, peer = PEERS[name]
    build_peer = getattr(importlib.import_module(f"benchmarks.peers.{module}"), peer)
    route = build_peer(build(name, in_capsules))
    capsules, kernel = make_inputs(BATCH, in_capsules)
    inputs = [torch.tensor(np.asarray(part)) for part in (*capsules, kernel)]
    call = peers.forward if direction == DIRECTIONS[0] else peers.with_gradients

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            return call(route, *inputs)

    return run


def make_contenders(
    name: str, direction: str, in_capsules: int
) -> tuple[dict[str, Contender], dict[str, float]]:
    """Calls by name, and bytes of temporaries of those that XLA compiles."""
    sizes = (direction, BATCH, in_capsules)
    made = {which: make_contender(name, which, *sizes) for which in (OURS, PLAIN)}
    if name in PEERS and has_torch():
        made[name_of(OURS, "bfloat16")] = make_contender(name, OURS, *sizes, "bfloat16")
    calls = {which: call for which, (call, _) in made.items()}
    if name in PEERS and has_torch():
        for dtype in TOLERANCES:
            calls[name_of(PEER, dtype)] = their_contender(name, direction, in_capsules, dtype)
    return calls, {which: memory for which, (_, memory) in made.items()}


def largest_error(found: Any, expected: Any) -> float:
    """The largest difference of two trees of arrays, against the largest number of each array."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max(_relative_error(_as_array(one), _as_array(other)) for one, other in pairs)


def _relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(found - expected)) / max(np.max(np.abs(expected)), 1e-30))


def _as_array(values: Any) -> np.ndarray:
    values = values.detach().float() if hasattr(values, "detach") else values
    return np.asarray(values, np.float64)


def compare(name: str, direction: str, in_capsules: int, rounds: int) -> dict[str, Any]:
    """Times of all contenders, their memory, and how far their numbers are from ours.

    Raises:
        RuntimeError: if they are further than types can explain.
    """
    calls, memory = make_contenders(name, direction, in_capsules)
    ours = calls[OURS]()
    errors = {which: largest_error(call(), ours) for which, call in calls.items() if which != OURS}
    for which, error in errors.items():
        tolerance = TOLERANCES["bfloat16" if "bfloat16" in which else "float32"]
        if not error < tolerance:
            raise RuntimeError(
                f"{name}, {direction}: {which} differs from ours by {error:.1e} of the largest "
                f"number, where {tolerance} is allowed"
            )
    return {
        "routing": name,
        "in_capsules": in_capsules,
        "direction": direction,
        "batch": BATCH,
        "times": measure(calls, rounds),
        "temporary_bytes": memory,
        "errors": errors,
    }


def make_table(results: list[dict[str, Any]]) -> str:
    """A line for each size and direction: medians in milliseconds, memory in megabytes."""
    return ragged_table([_as_row(result) for result in results])


def _as_row(result: dict[str, Any]) -> dict[str, str]:
    times, memory = result["times"], result["temporary_bytes"]
    row = {
        "routing": result["routing"].replace("_", " "),
        "input capsules": str(result["in_capsules"]),
        "direction": result["direction"],
        **{f"{which}, ms": f"{times[which]['median_ms']:.0f}" for which in (OURS, PLAIN)},
        "plain / ours": f"{ratio(result, PLAIN):.2f}",
    }
    if "process_ms" in times[OURS]:
        row["of process time"] = f"{ratio(result, PLAIN, 'process_ms'):.2f}"
    row |= {f"{which}, MB": f"{memory[which] / 1e6:.0f}" for which in (OURS, PLAIN)}
    for which in times.keys() - {OURS, PLAIN}:
        row[f"{which} / ours"] = f"{ratio(result, which):.2f}"
    return row


def ratio(result: dict[str, Any], which: str, kind: str = "median_ms") -> float:
    """A contender's time over ours, of a result of `compare`."""
    return result["times"][which][kind] / result["times"][OURS][kind]


def say_what_is_slow(results: list[dict[str, Any]]) -> str:
    """Names what takes ours more than `LIMIT` times as long as the plain form."""
    slow = [
        f"{result['routing']}, {result['direction']} ({1.0 / ratio(result, PLAIN):.2f} times)"
        for result in results
        if 1.0 / ratio(result, PLAIN) > LIMIT
    ]
    return f"Slower than {LIMIT} times the plain form: {'; '.join(slow) or 'none'}."


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    parser = make_parser(__doc__, rounds=10)
    parser.add_argument("routings", nargs="*", help=f"of {', '.join(ROUTINGS)}; all by default")
    flags = parser.parse_args(arguments)
    for name in flags.routings:
        if name not in ROUTINGS:
            parser.error(f"argument routings: {name!r}: choose from {', '.join(ROUTINGS)}")
    process.keep_freed_memory()
    results = []
    for name in flags.routings or ROUTINGS:
        for in_capsules in IN_CAPSULES.get(name, USUAL_IN_CAPSULES):
            for direction in DIRECTIONS:
                results.append(compare(name, direction, in_capsules, flags.rounds))
                print(make_table(results[-1:]), file=sys.stderr)
    print(f"Batch {BATCH}, float32; medians.\n")
    print(make_table(results))
    print(f"\n{say_what_is_slow(results)}")
    write_figures(flags.json, "routing", arguments, **describe_torch(), results=results)


if __name__ == "__main__":
    main()
