"""Times the generation of a batch of every generated task.

python -m benchmarks.generation --json generation.json
"""

import argparse
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import measure
from data import generated
from data.batches import DeviceSplit
from evaluation.records import markdown_table, write_json
from training import process
from training.environment import describe

BATCH = 128
TASKS = {
    "r": generated.rotated,
    "rts": generated.rotated_translated_scaled,
    "p": generated.projected,
    "e": generated.elastic,
    "t": generated.translated,
    "tc": generated.translated_cluttered,
    "tu": generated.translated_cluttered_large,
    "addition": generated.AdditionConfig,
}


def make_contender(task: str):
    """A compiled call that paints a batch."""
    random = np.random.default_rng(0)
    split = DeviceSplit(
        jnp.asarray(random.integers(0, 256, (10_000, 28, 28, 1), np.uint8)),
        jnp.asarray(random.integers(0, 10, 10_000), jnp.int32),
    )
    chosen = jnp.asarray(random.integers(0, 10_000, BATCH), jnp.int32)
    paint = jax.jit(TASKS[task]().generate)
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(paint(key, split, chosen))


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures")
    parser.add_argument("--rounds", type=int, default=10, help="turns of every task")
    flags = parser.parse_args(arguments)
    process.keep_freed_memory()
    times = measure({task: make_contender(task) for task in TASKS}, flags.rounds)
    rows = [
        {
            "task": task,
            "ms": f"{taken['median_ms']:.2f}",
            "images/s": f"{1e3 * BATCH / taken['median_ms']:,.0f}",
        }
        for task, taken in times.items()
    ]
    print(f"Batch {BATCH}; medians.\n")
    print(markdown_table(rows))
    if flags.json is not None:
        command = ["python", "-m", "benchmarks.generation", *(arguments or sys.argv[1:])]
        write_json(flags.json, {"command": command, **describe(), "batch": BATCH, "times": times})


if __name__ == "__main__":
    main()
