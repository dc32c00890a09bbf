"""The calls of PyTorch's networks that are timed, in every way to run them."""

import contextlib
import functools
import importlib
import pathlib
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from flax import nnx

from benchmarks.peers import steps
from benchmarks.peers.xifeng_guo import XifengGuo
from benchmarks.programs import TASKS
from benchmarks.reporting import name_of
from benchmarks.timing import Contender

PUBLIC = "XifengGuo/CapsNet-Pytorch"
WAYS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
# The module that has a network's peer, by the name of both classes.
PEERS = {
    "CapsNet": "capsnet",
    "EfficientCapsNet": "efficient",
    "SelfRoutingCapsNet": "self_routing",
    "ConvolutionalNetwork": "cnn",
    "ResidualNetwork": "residual",
    "CompactTransformer": "compact_transformer",
    "TransformerNetwork": "transformers",
    "ClassifierNetwork": "transformers",
    "GroupNetwork": "cohen_welling",
    "PolarNetwork": "polar",
    "CanonicalisedNetwork": "canonicalised",
}


def make_contenders(
    config: Any,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    *,
    compiled: bool = False,
    reduced: str | None = None,
    checkout: pathlib.Path | None = None,
) -> dict[str, dict[str, Contender]]:
    """PyTorch's calls on the CPU for each of `TASKS`, by the way in which it is run.

    Args:
        config: Of our network.
        images: `[batch, height, width, channels]` in [0, 1].
        labels: Their classes.
        count: Steps, or passes, of a call.
        compiled: Whether torch.compile is tried too.
        reduced: Another compute type that is tried too, by autocast; None for none.
        checkout: Of XifengGuo/CapsNet-Pytorch; None if it is not to be timed.
    """
    contenders: dict[str, dict[str, Contender]] = {task: {} for task in TASKS}

    def enter(name, network, way, **options):
        calls = make_calls(network, images, labels, count, way=way, **options)
        for task in TASKS:
            contenders[task][name] = calls[task]

    for way in WAYS:
        enter(way, make_peer(config, images.shape[1:]), way)
        if compiled:
            enter(f"{way}, compiled", Compiled(make_peer(config, images.shape[1:])), way)
        if reduced is not None:
            enter(name_of(way, reduced), make_peer(config, images.shape[1:]), way, reduced=reduced)
    if checkout is not None:
        enter(PUBLIC, XifengGuo(checkout), "contiguous")
    return contenders


def make_peer(config: Any, image_shape: tuple[int, ...]) -> torch.nn.Module:
    """PyTorch's network for a configuration of ours, with the parameters of ours.

    Raises:
        LookupError: if there is none for networks of this class.
        ValueError: if there is none for this network.
    """
    model = config.build(image_shape, 10, nnx.Rngs(0))
    name = type(model).__name__
    peers = importlib.import_module(f"benchmarks.peers.{PEERS[name]}")
    return getattr(peers, name)(model)


def make_calls(
    network: torch.nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    *,
    way: str = "channels last",
    device: str = "cpu",
    reduced: str | None = None,
) -> dict[str, Contender]:
    """Calls for each of `TASKS`, which return when the device is done.

    Args:
        network: A peer.
        images: `[batch, height, width, channels]` in [0, 1].
        labels: Their classes.
        count: Steps, or passes, of a call.
        way: Of `WAYS`, the memory format of images and weights.
        device: "cpu" or "cuda".
        reduced: Compute type of products, by autocast; None for the network's.
    """
    network = network.to(device, memory_format=WAYS[way])
    pixels = torch.tensor(np.moveaxis(images, -1, 1).copy(), device=device)
    pixels = pixels.contiguous(memory_format=WAYS[way])
    classes = torch.tensor(labels, dtype=torch.int64, device=device)
    cast = functools.partial(_autocast, device, reduced)
    step = steps.training_step(_Cast(network, cast), steps.adam(network, 1e-4))

    def train():
        network.train()
        return step(pixels, classes)

    def infer():
        network.eval()
        with torch.inference_mode(), cast():
            return network(pixels)

    return {
        "training": _repeated(train, count, device),
        "inference": _repeated(infer, count, device),
    }


def find_device(backend: str) -> str | None:
    """PyTorch's name of the device that JAX calls by a backend's; None if it cannot use it."""
    device = {"cpu": "cpu", "gpu": "cuda"}.get(backend)
    return None if device == "cuda" and not torch.cuda.is_available() else device


def set_precision(*, tensor_float: bool) -> None:
    """Lets float32 products on GPUs run as TF32 or not, by algorithms that are tried out first."""
    torch.backends.cuda.matmul.allow_tf32 = tensor_float
    torch.backends.cudnn.allow_tf32 = tensor_float
    torch.backends.cudnn.benchmark = True  # XLA tries, too


class Compiled(torch.nn.Module):
    """A network whose calls go through torch.compile.

    Args:
        network: A peer.
    """

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network
        self.call = torch.compile(network)
        self.compiled_loss = torch.compile(network.loss)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The network's outputs."""
        return self.call(images)

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The network's loss."""
        return self.compiled_loss(images, labels)


class _Cast:
    """The loss of a network under autocast; derivatives are taken in the same types."""

    def __init__(self, network, cast):
        self.network, self.cast = network, cast

    def loss(self, images, labels):
        with self.cast():
            return self.network.loss(images, labels)


def _autocast(device, reduced):
    if reduced is None:
        return contextlib.nullcontext()
    return torch.autocast(device, getattr(torch, reduced))


def _repeated(call: Contender, count: int, device: str) -> Contender:
    def repeated():
        result = None
        for _ in range(count):
            result = call()
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    return repeated
