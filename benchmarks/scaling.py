"""Growth of the cost of a capsule network's training step.

    python -m benchmarks.scaling --json scaling.json

With the batch, the image, the number of primary capsules, and the number of devices (simulated on
the same cores, so the figure is the cost of sharing, not a gain). Each measurement runs in
a process of its own, as devices can only be simulated from the start and peak memory is the
process's.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys

import jax
import numpy as np

from benchmarks.reporting import make_parser, write_figures
from benchmarks.timing import measure
from capsnet.networks.sabour import CapsNetConfig
from common.tables import markdown_table
from data.batches import DeviceSplit
from data.sources.load import DatasetConfig
from training import process
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.step import make_program

BATCHES = (16, 32, 64, 128, 256, 512)
SIDES = (28, 32, 40, 48, 64)
TYPES = (32, 64, 128)
DEVICES = (1, 2, 4, 8)


@dataclasses.dataclass(frozen=True)
class Point:
    """One measurement: a training step of CapsNet.

    Attributes:
        batch: Images, over all devices.
        side: Of an image, in pixels.
        types: Of primary capsules; the paper's network has 32.
        devices: Simulated ones.
    """

    batch: int = 128
    side: int = 28
    types: int = 32
    devices: int = 1


def points() -> list[Point]:
    """One curve through the usual point for each attribute; batches of 32 where steps are long."""
    return [
        *(Point(batch=batch) for batch in BATCHES),
        *(Point(batch=32, side=side) for side in SIDES),
        *(Point(batch=32, types=types) for types in TYPES),
        *(Point(batch=32, devices=devices) for devices in DEVICES),
    ]


def measure_here(point: Point, rounds: int) -> dict[str, float]:
    """Times steps of the shared training program in this process."""
    process.keep_freed_memory()
    experiment = Experiment(
        model=CapsNetConfig(primary_types=point.types),
        steps=10_000,
        batch_size=point.batch,
        dataset=DatasetConfig(shift=0),
    )
    program = make_program(experiment, (point.side, point.side, 1), 10, make_mesh())
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (point.batch, point.side, point.side, 1), np.uint8)
    split = DeviceSplit(
        jax.numpy.asarray(images), jax.numpy.asarray(np.arange(point.batch, dtype=np.int32) % 10)
    )
    carried = [program.create_state()]

    def step():
        carried[0], metrics = jax.block_until_ready(
            program.train_steps(carried[0], split, np.int32(1))
        )
        return metrics

    times = measure({"step": step}, rounds)["step"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**times, "peak_bytes": float(peak)}


def _point(text: str) -> Point:
    """An argument's type: a point whose numbers are all from 1 on."""
    point = Point(**json.loads(text))
    if not all(type(number) is int and number > 0 for number in dataclasses.astuple(point)):
        raise ValueError("a point is of whole numbers from 1 on")
    return point


def measure_apart(point: Point, rounds: int) -> dict[str, float]:
    """Times a point in a process of its own; ends the benchmark if that fails."""
    command = [sys.executable, "-m", "benchmarks.scaling", f"--rounds={rounds}"]
    finished = subprocess.run(
        [*command, f"--point={json.dumps(dataclasses.asdict(point))}"],
        env={
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={point.devices}",
        },
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        said = finished.stderr.strip().splitlines() or ["nothing said"]
        sys.exit(f"error: {point} failed with status {finished.returncode}: {said[-1]}")
    return json.loads(finished.stdout.splitlines()[-1])


def make_table(results: list[dict[str, float]]) -> str:
    """A line for each point with its figures."""
    return markdown_table([_as_row(result) for result in results])


def _as_row(result: dict[str, float]) -> dict[str, str]:
    milliseconds, side = result["median_ms"], result["side"]
    return {
        "batch": f"{result['batch']}",
        "image": f"{side}x{side}",
        "capsule types": f"{result['types']}",
        "devices": f"{result['devices']}",
        "step, ms": f"{milliseconds:.0f}",
        "images/s": f"{1e3 * result['batch'] / milliseconds:.0f}",
        "peak memory, GB": f"{result['peak_bytes'] / 1e9:.1f}",
    }


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--point", type=_point, help="measure this one, here (JSON)")
    flags = parser.parse_args(arguments)
    if flags.point is not None:
        print(json.dumps(measure_here(flags.point, flags.rounds)))
        return
    results = []
    for point in points():
        results.append({**dataclasses.asdict(point), **measure_apart(point, flags.rounds)})
        print(make_table(results[-1:]), file=sys.stderr)
    print(make_table(results))
    write_figures(flags.json, "scaling", arguments, results=results)


if __name__ == "__main__":
    main()
