"""Times training steps and inference of whole networks, and PyTorch's where it is installed.

    python -m benchmarks.networks --json networks.json
    python -m benchmarks.networks capsnet cnn_mnist --rounds 5

A training step is loss, gradients and Adam on one batch of 128 images; inference is the logits of
it. A call is five of either, ours in one dispatch as in the training loop. The peers in
`benchmarks.peers` do the same arithmetic with the same parameters. PyTorch runs with its images in
either memory format, and compiled too with --compile; the best counts. With --xifeng_guo the most
used public CapsNet is timed too (see `benchmarks.peers.xifeng_guo`). Beside them stands the floor:
the time of the textbook's arithmetic at the machine's own matrix rate (see `benchmarks.floors`).
"""

import functools
import importlib
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

import cnn.networks.plain
from benchmarks.floors import count_work, floor_ms, measure_machine
from benchmarks.reporting import describe_torch, has_torch, make_parser, write_figures
from benchmarks.timing import Contender, Times, measure
from capsnet.networks.sabour import CapsNetConfig
from cnn import count_parameters
from common.tables import markdown_table
from data.batches import Batch
from stn.networks.mnist import TransformerNetworkConfig
from training import process

BATCH = 128
STEPS = 5
OURS = "ours"
PUBLIC = "XifengGuo/CapsNet-Pytorch"
TASKS = ("training", "inference")
# Name: configuration, image [height, width, channels].
NETWORKS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "capsnet": (CapsNetConfig(), (28, 28, 1)),
    "cnn_mnist": (cnn.networks.plain.small(), (28, 28, 1)),
    "cnn_mnist_matched": (cnn.networks.plain.matched(), (28, 28, 1)),
    "cnn_mnist_9x9": (cnn.networks.plain.wide_kernels(), (28, 28, 1)),
    "st_cnn 42x42": (TransformerNetworkConfig("cnn", pooling=True), (42, 42, 1)),
    "st_cnn 60x60": (TransformerNetworkConfig("cnn", pooling=True), (60, 60, 1)),
    "stn cnn 60x60": (TransformerNetworkConfig("cnn", transformers=0), (60, 60, 1)),
}
# The module of `benchmarks.peers` that has a network's peer, by the name of both classes.
PEERS = {
    "CapsNet": "capsnet",
    "ConvolutionalNetwork": "cnn",
    "TransformerNetwork": "transformers",
    "ClassifierNetwork": "transformers",
}


def make_batch(image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] and labels."""
    random = np.random.default_rng(0)
    images = random.random((BATCH, *image_shape), np.float32)
    return images, random.integers(0, 10, BATCH).astype(np.int32)


def our_contenders(config, image_shape) -> dict[str, Contender]:
    """Our calls for each of `TASKS`."""
    model = config.build(image_shape, 10, nnx.Rngs(0))
    graph, params, other = nnx.split(model, nnx.Param, ...)
    images, labels = map(jnp.asarray, make_batch(image_shape))
    optimizer = optax.adam(1e-4)

    def loss_of(params):
        return nnx.merge(graph, params, other, copy=True).loss(Batch(images, labels))[0]

    def step(_, carried):
        params, state, _ = carried
        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, loss

    def infer(_, shift):
        # Each pass depends on the one before, or XLA would do it once.
        logits = nnx.merge(graph, params, other, copy=True)(images + shift).logits
        return 0.0 * logits[0, 0]

    steps = jax.jit(lambda carried: lax.fori_loop(0, STEPS, step, carried), donate_argnums=0)
    passes = jax.jit(lambda shift: lax.fori_loop(0, STEPS, infer, shift))
    # A copy, for the steps take their argument's memory.
    carried = [(jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros(()))]

    def train():
        carried[0] = jax.block_until_ready(steps(carried[0]))
        return carried[0][2]

    return {"training": train, "inference": lambda: jax.block_until_ready(passes(jnp.zeros(())))}


def their_contenders(
    config, image_shape, *, compiled: bool = False, checkout: pathlib.Path | None = None
) -> dict[str, dict[str, Contender]]:
    """PyTorch's calls for each of `TASKS`, by the way in which it is run.

    Args:
        config: Of our network.
        image_shape: Of one image.
        compiled: Whether torch.compile is tried too.
        checkout: Of XifengGuo/CapsNet-Pytorch; None if it is not to be timed.
    """
    torch = importlib.import_module("torch")  # optional, for the type checker too
    steps = importlib.import_module("benchmarks.peers.steps")
    pixels, classes = make_batch(image_shape)
    labels = torch.tensor(classes, dtype=torch.int64)
    contenders: dict[str, dict[str, Contender]] = {task: {} for task in TASKS}

    def enter(name, network, memory_format, wrap=lambda network: network):
        network = network.to(memory_format=memory_format)
        images = torch.tensor(np.moveaxis(pixels, -1, 1).copy()).contiguous(
            memory_format=memory_format
        )
        step = steps.training_step(wrap(network), steps.adam(network, 1e-4))
        contenders["training"][name] = _repeated(functools.partial(step, images, labels))
        contenders["inference"][name] = _repeated(_inference(torch, wrap(network), images))

    ways = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
    for way, memory_format in ways.items():
        enter(way, _make_peer(config, image_shape), memory_format)
        if compiled:
            peer = _make_peer(config, image_shape)
            enter(f"{way}, compiled", peer, memory_format, functools.partial(_Compiled, torch))
    if checkout is not None:
        public = importlib.import_module("benchmarks.peers.xifeng_guo").XifengGuo(checkout)
        enter(PUBLIC, public, torch.contiguous_format)
    return contenders


class _Compiled:
    """A network whose calls go through torch.compile."""

    def __init__(self, torch, network):
        self.network = network
        self.call = torch.compile(network)
        self.loss = torch.compile(network.loss)

    def __call__(self, images):
        return self.call(images)


def _repeated(call: Contender) -> Contender:
    def repeated():
        for _ in range(STEPS):
            call()

    return repeated


def _inference(torch, network, images) -> Contender:
    def infer():
        with torch.inference_mode():
            return network(images)

    return infer


def _make_peer(config, image_shape):
    """PyTorch's network for a configuration of ours, with the parameters of ours."""
    model = config.build(image_shape, 10, nnx.Rngs(0))
    name = type(model).__name__
    peers = importlib.import_module(f"benchmarks.peers.{PEERS[name]}")
    return getattr(peers, name)(model)


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
    work = count_work(config, *make_batch(image_shape))
    ours = our_contenders(config, image_shape)
    theirs = {task: {} for task in TASKS}
    if has_torch():
        checkout = checkout if name == "capsnet" else None
        theirs = their_contenders(config, image_shape, compiled=compiled, checkout=checkout)
    return {
        "network": name,
        "image": list(image_shape),
        "batch": BATCH,
        "steps": STEPS,
        "parameters": count_parameters(lambda: config.build(image_shape, 10, nnx.Rngs(0))),
        "work": work,
        "floors_ms": {task: STEPS * floor_ms(work[task], machine) for task in TASKS},
        "times": {task: measure({OURS: ours[task], **theirs[task]}, rounds) for task in TASKS},
    }


def make_table(results: list[dict[str, Any]]) -> str:
    """A line for each network and task: images a second by medians, and ratios of times."""
    return markdown_table(
        [_as_row(result, task, result["times"][task]) for result in results for task in TASKS]
    )


def _as_row(result, task: str, times: Times) -> dict[str, str]:
    row = {"network": f"`{result['network']}`", "task": task}
    ours = times[OURS]["median_ms"]
    images = result["batch"] * result["steps"]
    row["images/s"] = f"{1e3 * images / ours:,.0f}"
    row["floor / ours, time"] = f"{result['floors_ms'][task] / ours:.2f}"
    peers = {way: taken["median_ms"] for way, taken in times.items() if way != OURS}
    if peers:
        best = min(peers, key=lambda way: peers[way])
        row["PyTorch, images/s"] = f"{1e3 * images / peers[best]:,.0f}"
        row["PyTorch / ours, time"] = f"{peers[best] / ours:.2f}"
        row["PyTorch's best"] = best
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
