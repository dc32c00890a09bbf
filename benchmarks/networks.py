"""Times training steps and inference of whole networks, and PyTorch's where it is installed.

    python -m benchmarks.networks --json networks.json
    python -m benchmarks.networks capsnet cnn_mnist --rounds 5

A training step is loss, gradients and Adam on one batch of 128 images; inference is the logits of
it. A call is five of either, ours in one dispatch as in the training loop. The peers in
`benchmarks.peers` do the same arithmetic with the same parameters. PyTorch runs with its images in
either memory format, and compiled too with --compile; the best counts. `REDUCED` networks also run
with products in bfloat16, ours by its `dtype` and PyTorch's by autocast, in columns of their own.
With --xifeng_guo the most used public CapsNet is timed too (see `benchmarks.peers.xifeng_guo`).
Beside them stands the floor: the time of the textbook's arithmetic at the machine's own matrix rate
(see `benchmarks.floors`).
"""

import dataclasses
import importlib
import pathlib
import sys
from typing import Any

from flax import nnx

import cnn.networks.plain
from benchmarks.floors import count_work, floor_ms, measure_machine
from benchmarks.programs import TASKS, make_batch, make_contender, make_programs
from benchmarks.reporting import (
    describe_torch,
    has_torch,
    make_parser,
    name_of,
    ragged_table,
    write_figures,
)
from benchmarks.timing import Contender, Times, measure
from capsnet.networks.efficient import EfficientCapsNetConfig
from capsnet.networks.sabour import CapsNetConfig
from capsnet.networks.self_routing import SelfRoutingCapsNetConfig
from cnn import count_parameters
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.residual import ResidualNetworkConfig
from equivariant.learnt_canonicaliser import LearntOrientation
from equivariant.networks import cohen_welling, polar
from equivariant.networks.canonicalised import CanonicalisedConfig
from stn.networks.mnist import TransformerNetworkConfig
from training import process

BATCH = 128
STEPS = 5
OURS = "ours"
# Compute types that float32 is compared with, and the networks for which it is.
REDUCED = {"capsnet": "bfloat16", "cnn_mnist": "bfloat16"}
# Name: configuration, image [height, width, channels].
NETWORKS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "capsnet": (CapsNetConfig(), (28, 28, 1)),
    "efficient_capsnet": (EfficientCapsNetConfig(), (28, 28, 1)),
    "self_routing_capsnet": (SelfRoutingCapsNetConfig(), (32, 32, 2)),
    "cnn_mnist": (cnn.networks.plain.small(), (28, 28, 1)),
    "cnn_mnist_matched": (cnn.networks.plain.matched(), (28, 28, 1)),
    "cnn_mnist_9x9": (cnn.networks.plain.wide_kernels(), (28, 28, 1)),
    "residual": (ResidualNetworkConfig(), (28, 28, 1)),
    "compact_transformer": (CompactTransformerConfig(), (28, 28, 1)),
    "st_cnn 42x42": (TransformerNetworkConfig("cnn", pooling=True), (42, 42, 1)),
    "st_cnn 60x60": (TransformerNetworkConfig("cnn", pooling=True), (60, 60, 1)),
    "stn cnn 60x60": (TransformerNetworkConfig("cnn", transformers=0), (60, 60, 1)),
    "p4cnn": (cohen_welling.p4cnn(), (28, 28, 1)),
    "z2cnn": (cohen_welling.z2cnn(), (28, 28, 1)),
    "polar": (polar.large(), (28, 28, 1)),
    "canonicalised_cnn": (
        CanonicalisedConfig(cnn.networks.plain.small(), LearntOrientation()),
        (28, 28, 1),
    ),
}


def our_contenders(config, image_shape) -> dict[str, Contender]:
    """Our calls for each of `TASKS`."""
    programs = make_programs(config, *make_batch(BATCH, image_shape), STEPS)
    return {
        task: make_contender(program.lower().compile(), program)
        for task, program in programs.items()
    }


def their_contenders(config, image_shape, **options) -> dict[str, dict[str, Contender]]:
    """PyTorch's calls, by task and way; see `benchmarks.peers.contenders`."""
    peers = importlib.import_module("benchmarks.peers.contenders")  # it needs PyTorch
    return peers.make_contenders(config, *make_batch(BATCH, image_shape), STEPS, **options)


def compare(
    name: str,
    rounds: int,
    machine: dict[str, float],
    *,
    compiled: bool = False,
    checkout: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Times one network, ours and every way to run PyTorch's, in turns.

    Args:
        name: Of `NETWORKS`.
        rounds: Turns of every contender.
        machine: See `benchmarks.floors.measure_machine`.
        compiled: Whether torch.compile is tried too.
        checkout: Of the public CapsNet, for ours; None to do without.
    """
    config, image_shape = NETWORKS[name]
    work = count_work(config, *make_batch(BATCH, image_shape))
    reduced = REDUCED.get(name)
    ours = {OURS: our_contenders(config, image_shape)}
    if reduced is not None:
        narrow = dataclasses.replace(config, dtype=reduced)
        ours[name_of(OURS, reduced)] = our_contenders(narrow, image_shape)
    contenders = {task: {which: calls[task] for which, calls in ours.items()} for task in TASKS}
    if has_torch():
        checkout = checkout if name == "capsnet" else None
        theirs = their_contenders(
            config, image_shape, compiled=compiled, reduced=reduced, checkout=checkout
        )
        contenders = {task: contenders[task] | theirs[task] for task in TASKS}
    return {
        "network": name,
        "image": list(image_shape),
        "batch": BATCH,
        "steps": STEPS,
        "parameters": count_parameters(lambda: config.build(image_shape, 10, nnx.Rngs(0))),
        "work": work,
        "floors_ms": {task: STEPS * floor_ms(work[task], machine) for task in TASKS},
        "times": {task: measure(contenders[task], rounds) for task in TASKS},
    }


def make_table(results: list[dict[str, Any]]) -> str:
    """A line for each network and task: images a second by medians, and ratios of times."""
    return ragged_table(
        [_as_row(result, task, result["times"][task]) for result in results for task in TASKS]
    )


def _as_row(result, task: str, times: Times) -> dict[str, str]:
    row = {"network": f"`{result['network']}`", "task": task}
    ours = times[OURS]["median_ms"]
    images = result["batch"] * result["steps"]
    row["images/s"] = f"{1e3 * images / ours:,.0f}"
    row["floor / ours, time"] = f"{result['floors_ms'][task] / ours:.2f}"
    medians = {way: taken["median_ms"] for way, taken in times.items() if way != OURS}
    reduced = {way: taken for way, taken in medians.items() if way.endswith("bfloat16")}
    peers = {way: taken for way, taken in medians.items() if way not in reduced}
    if peers:
        best = min(peers, key=lambda way: peers[way])
        row["PyTorch, images/s"] = f"{1e3 * images / peers[best]:,.0f}"
        row["PyTorch / ours, time"] = f"{peers[best] / ours:.2f}"
        row["PyTorch's best"] = best
    if own := reduced.pop(name_of(OURS, "bfloat16"), None):
        row["bfloat16, images/s"] = f"{1e3 * images / own:,.0f}"
    if reduced:
        row["PyTorch bfloat16, images/s"] = f"{1e3 * images / min(reduced.values()):,.0f}"
        row["PyTorch bfloat16 / ours, time"] = f"{min(reduced.values()) / ours:.2f}"
    return row


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all by default")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too")
    parser.add_argument(
        "--xifeng_guo", type=pathlib.Path, help="a checkout of XifengGuo/CapsNet-Pytorch to time"
    )
    flags = parser.parse_args(arguments)
    for name in flags.networks:
        if name not in NETWORKS:
            parser.error(f"argument networks: {name!r}: choose from {', '.join(NETWORKS)}")
    if flags.xifeng_guo is not None and not (flags.xifeng_guo / "capsulenet.py").is_file():
        parser.error(
            f"argument --xifeng_guo: {flags.xifeng_guo}: no capsulenet.py there; give a checkout "
            "of XifengGuo/CapsNet-Pytorch"
        )
    process.keep_freed_memory()
    machine = measure_machine(flags.rounds)
    results = []
    for name in flags.networks or NETWORKS:
        results.append(
            compare(name, flags.rounds, machine, compiled=flags.compile, checkout=flags.xifeng_guo)
        )
        print(make_table(results[-1:]), file=sys.stderr)
    rate, bandwidth = (machine[f"{unit}_per_second"] / 1e9 for unit in ("flops", "bytes"))
    print(f"Batch {BATCH}, float32; by median times.")
    print(f"The machine at best: {rate:.0f} GFLOP/s, {bandwidth:.1f} GB/s.\n")
    print(make_table(results))
    write_figures(
        flags.json, "networks", arguments, **describe_torch(), machine=machine, results=results
    )


if __name__ == "__main__":
    main()
