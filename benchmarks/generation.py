"""Times what comes before a training step: MNIST's shifted batches, and every generated task's.

python -m benchmarks.generation --json generation.json
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.reporting import make_parser, write_figures
from benchmarks.timing import measure
from common.tables import markdown_table
from configs import stn_mnist
from data.batches import DeviceSplit
from data.faces.tasks import FacesConfig
from data.sources.load import DatasetConfig
from data.tasks.addition import AdditionConfig
from data.tasks.multimnist import MultiMNISTConfig
from training import process

BATCH = 128
TASKS = {
    "mnist": DatasetConfig,
    **stn_mnist.TASKS,
    "addition": AdditionConfig,
    "multimnist": MultiMNISTConfig,
    "faces": FacesConfig,
}


def make_contender(task: str):
    """A compiled call that renders a batch."""
    random = np.random.default_rng(0)
    split = DeviceSplit(
        jnp.asarray(random.integers(0, 256, (10_000, 28, 28, 1), np.uint8)),
        jnp.asarray(random.integers(0, 6, 10_000), jnp.int32),
    )
    chosen = jnp.asarray(random.integers(0, 10_000, BATCH), jnp.int32)
    render = jax.jit(TASKS[task]().generate)
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(render(key, split, chosen))


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    flags = make_parser(__doc__, rounds=10).parse_args(arguments)
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
    write_figures(flags.json, "generation", arguments, batch=BATCH, times=times)


if __name__ == "__main__":
    main()
