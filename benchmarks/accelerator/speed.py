"""Speed of networks and routings on a device, and of PyTorch's on the same."""

import dataclasses
import functools
import importlib
from typing import Any

import jax

from benchmarks import routing
from benchmarks.accelerator.precision import PRECISIONS
from benchmarks.accelerator.session import Subject, seconds_of
from benchmarks.floors import count_flops, count_work
from benchmarks.programs import TASKS, make_batch, make_contender, make_programs
from benchmarks.reporting import has_torch
from training.clock import Stopwatch

_COUNTED_BATCH = 16


@dataclasses.dataclass
class Network:
    """A network that is timed.

    Attributes:
        config: In float32.
        image_shape: Of one image.
    """

    config: Any
    image_shape: tuple[int, ...]

    def count(self) -> dict[str, float]:
        """The textbook's arithmetic for an image: "FLOP" for each of `TASKS`."""
        work = count_work(self.config, *make_batch(_COUNTED_BATCH, self.image_shape))
        return {f"{task} FLOP": work[task]["flops"] / _COUNTED_BATCH for task in TASKS}

    def takes(self, precision: str) -> bool:
        """True if it can compute in a type of `PRECISIONS`."""
        return PRECISIONS[precision].dtype == "float32" or hasattr(self.config, "dtype")

    def measure(self, subject: Subject, steps: int, least: float) -> dict[str, float]:
        """Times training steps and inference.

        Args:
            subject: Whose precision and batch are taken.
            steps: Steps, or passes, of a dispatch.
            least: Seconds of measurement of each.

        Returns:
            "images/s" and "compile s" for each of `TASKS`.
        """
        precision, config = PRECISIONS[subject.precision], self.config
        if precision.dtype != "float32":
            config = dataclasses.replace(config, dtype=precision.dtype)
        batch = make_batch(subject.batch, self.image_shape)
        found = {}
        for task, program in make_programs(config, *batch, steps).items():
            with precision.context():
                lowered = program.lower()
            watch = Stopwatch()
            compiled = lowered.compile()
            compile_seconds = watch.seconds
            seconds = seconds_of(make_contender(compiled, program), least)
            found[f"{task} images/s"] = subject.batch * steps / seconds
            found[f"{task} compile s"] = compile_seconds
        return found

    def measure_peer(self, subject: Subject, steps: int, least: float) -> dict[str, float]:
        """Times PyTorch's network in eager mode, with products in the same types.

        Args:
            subject: As of `measure`.
            steps: As of `measure`.
            least: As of `measure`.

        Returns:
            "images/s" for each of `TASKS`.

        Raises:
            LookupError: if there is no peer for networks of this class.
        """
        peers = importlib.import_module("benchmarks.peers.contenders")  # it needs PyTorch
        peers.set_precision(tensor_float=subject.precision != "float32")
        dtype = PRECISIONS[subject.precision].dtype
        calls = peers.make_calls(
            peers.make_peer(self.config, self.image_shape),
            *make_batch(subject.batch, self.image_shape),
            steps,
            device=peers.find_device(jax.default_backend()),
            reduced=None if dtype == "float32" else dtype,
        )
        images = subject.batch * steps
        return {f"{task} images/s": images / seconds_of(calls[task], least) for task in TASKS}


def has_peer_device() -> bool:
    """True if PyTorch is installed and can use the device that JAX uses."""
    if not has_torch():
        return False
    peers = importlib.import_module("benchmarks.peers.contenders")
    return peers.find_device(jax.default_backend()) is not None


def count_routing(name: str, in_capsules: int) -> dict[str, float]:
    """The arithmetic of the plain form and its votes for an image: "FLOP" for each direction.

    Args:
        name: Of `benchmarks.routing.ROUTINGS`.
        in_capsules: Input capsules.
    """
    found = {}
    for direction in routing.DIRECTIONS:
        described = (name, routing.PLAIN, direction, _COUNTED_BATCH, in_capsules)
        function, arguments = routing.make_program(*described)
        found[f"{direction} FLOP"] = count_flops(function, *arguments) / _COUNTED_BATCH
    return found


def measure_routing(
    subject: Subject, in_capsules: int, calls: int, least: float
) -> dict[str, float]:
    """Times a routing and its votes against the plain form that XLA optimises.

    Args:
        subject: Whose name, of `benchmarks.routing.ROUTINGS`, precision and batch are taken.
        in_capsules: Input capsules.
        calls: Dispatched at once, so that the host's part is hidden.
        least: Seconds of measurement of each.

    Returns:
        For each direction "images/s" and "compile s" of ours, and the plain form's time over ours
        as "plain / ours".
    """
    precision, found = PRECISIONS[subject.precision], {}
    for direction in routing.DIRECTIONS:
        seconds = {}
        for which in (routing.PLAIN, routing.OURS):
            function, arguments = routing.make_program(
                subject.name, which, direction, subject.batch, in_capsules, precision.dtype
            )
            with precision.context():
                lowered = jax.jit(function).lower(*arguments)
            watch = Stopwatch()
            compiled = lowered.compile()
            found[f"{direction} compile s"] = watch.seconds
            call = functools.partial(_dispatch, compiled, arguments, calls)
            seconds[which] = seconds_of(call, least) / calls
        found[f"{direction} images/s"] = subject.batch / seconds[routing.OURS]
        found[f"{direction} plain / ours"] = seconds[routing.PLAIN] / seconds[routing.OURS]
    return found


def _dispatch(compiled, arguments, calls: int) -> None:
    jax.block_until_ready([compiled(*arguments) for _ in range(calls)])
