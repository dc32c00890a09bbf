"""Times votes and dynamic routing against the same procedure written as plain einsums.

    python -m benchmarks.routing --json routing.json

From capsules and matrices to poses, and to the gradients of both, at the sizes of CapsNet on 28x28
and on 40x40 pixels. Peak memory is what XLA reserves for temporaries.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.reporting import make_parser, write_figures
from benchmarks.timing import Contender, measure
from capsnet.routing import dynamic_routing
from capsnet.vectors import squash
from capsnet.votes import make_votes
from common.tables import markdown_table
from training import process

BATCH = 128
IN_CAPSULES = (1152, 4608)
ITERATIONS = 3
DIRECTIONS = ("forward", "forward + gradients")


def our_poses(capsules, kernel):
    """The project's votes and routing."""
    return dynamic_routing(make_votes(capsules, kernel), iterations=ITERATIONS).poses


def plain_poses(capsules, kernel):
    """Procedure 1 of Sabour et al. (2017), a line of it a line of code."""
    votes = jnp.einsum("bic,icjd->bijd", capsules, kernel)
    couplings = jnp.full(votes.shape[:3], 1.0 / votes.shape[2])
    logits = jnp.zeros(())
    for _ in range(ITERATIONS - 1):
        poses = squash(jnp.einsum("bij,bijd->bjd", couplings, votes))
        logits = logits + jnp.einsum("bijd,bjd->bij", votes, poses)
        couplings = jax.nn.softmax(logits, axis=2)
    return squash(jnp.einsum("bij,bijd->bjd", couplings, votes))


CONTENDERS = {"ours": our_poses, "plain einsums": plain_poses}


def make_contender(poses, direction: str, in_capsules: int) -> tuple[Contender, float]:
    """A compiled call, and the bytes of its temporaries (NaN where XLA does not say)."""
    random = np.random.default_rng(0)
    capsules = squash(jnp.asarray(random.normal(size=(BATCH, in_capsules, 8)), jnp.float32))
    kernel = jnp.asarray(random.normal(size=(in_capsules, 8, 10, 16)) / 10.0, jnp.float32)

    def with_gradients(capsules, kernel):
        found, transpose = jax.vjp(poses, capsules, kernel)
        return found, transpose(found)

    function = jax.jit(poses if direction == DIRECTIONS[0] else with_gradients)
    compiled = function.lower(capsules, kernel).compile()
    memory = compiled.memory_analysis()
    return (
        lambda: jax.block_until_ready(compiled(capsules, kernel)),
        memory.temp_size_in_bytes if memory else math.nan,
    )


def compare(direction: str, in_capsules: int, rounds: int) -> dict[str, Any]:
    """Times of both, and their memory."""
    made = {
        name: make_contender(poses, direction, in_capsules) for name, poses in CONTENDERS.items()
    }
    times = measure({name: call for name, (call, _) in made.items()}, rounds)
    return {
        "in_capsules": in_capsules,
        "direction": direction,
        "batch": BATCH,
        "times": times,
        "temporary_bytes": {name: memory for name, (_, memory) in made.items()},
    }


def make_table(results: list[dict[str, Any]]) -> str:
    """A line for each size and direction: medians in milliseconds, memory in megabytes."""
    return markdown_table([_as_row(result) for result in results])


def _as_row(result: dict[str, Any]) -> dict[str, str]:
    times, memory = result["times"], result["temporary_bytes"]
    ours, plain = (times[name]["median_ms"] for name in CONTENDERS)
    return {
        "input capsules": str(result["in_capsules"]),
        "direction": result["direction"],
        **{f"{name}, ms": f"{times[name]['median_ms']:.0f}" for name in CONTENDERS},
        "plain / ours": f"{plain / ours:.2f}",
        **{f"{name}, MB": f"{memory[name] / 1e6:.0f}" for name in CONTENDERS},
    }


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    flags = make_parser(__doc__, rounds=10).parse_args(arguments)
    process.keep_freed_memory()
    results = [
        compare(direction, in_capsules, flags.rounds)
        for in_capsules in IN_CAPSULES
        for direction in DIRECTIONS
    ]
    print(f"Batch {BATCH}, {ITERATIONS} iterations, float32; medians.\n")
    print(make_table(results))
    write_figures(flags.json, "routing", arguments, results=results)


if __name__ == "__main__":
    main()
