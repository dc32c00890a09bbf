"""Provenance of results: model, checkpoint, data, machine, versions, revision, checksums."""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import time
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from common.errors import printable

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
_ROOT = pathlib.Path(__file__).parents[2]
_KINDS = ("last", "unfinished", "best", "matched")
TOLERANCE = 0.001
"""Distance from the accuracy of a matched checkpoint that is allowed today."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A moment of training.

    Attributes:
        kind: "last" (the end of training), "unfinished" (the newest of a run that has not come
            there), "best" (on validation), or "matched": at an accuracy on validation.
        accuracy: That accuracy, in [0, 1], of a matched checkpoint; else None.
        tolerance: How far from it a matched checkpoint may be; None of the first checkpoint past
            it, however far, as it was chosen for records of before.

    Raises:
        ValueError: if the kind is another, or has no accuracy, or one that it should not have.
    """

    kind: str = "last"
    accuracy: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS or (self.kind == "matched") != (self.accuracy is not None):
            raise ValueError(f"a checkpoint is {self.kind!r} with an accuracy of {self.accuracy}")

    @classmethod
    def matched(cls, accuracy: float) -> "Checkpoint":
        """Weights within `TOLERANCE` of an accuracy on validation, in [0, 1]."""
        return cls("matched", accuracy, TOLERANCE)

    @classmethod
    def first_past(cls, accuracy: float) -> "Checkpoint":
        """The first checkpoint of an accuracy on validation, in [0, 1]."""
        return cls("matched", accuracy)

    def __str__(self) -> str:
        if self.accuracy is None:
            return self.kind
        return f"{100.0 * self.accuracy:.2f} % on validation"

    @property
    def title(self) -> str:
        """The moment, for the heading of a table."""
        titles = {
            "last": "at the end of training",
            "unfinished": "before the end of training",
            "best": "at the best step on validation",
        }
        near = (
            "first past" if self.tolerance is None else f"within {100 * self.tolerance:g} points of"
        )
        return titles.get(self.kind, f"at matched accuracy: {near} {self}")

    @property
    def order(self) -> tuple[int, float, float]:
        """Sorts the ends of trainings before other checkpoints."""
        return _KINDS.index(self.kind), self.accuracy or 0.0, self.tolerance or 1.0


@dataclasses.dataclass(frozen=True)
class Provenance:
    """A model, the images that it was asked about, and the machine.

    Attributes:
        run: Name of the run's folder.
        name: Of its configuration.
        model: What runs that differ in their seed alone have in common.
        dataset: Whose test images were asked about.
        data: A checksum of those images and their labels.
        weights: A checksum of the model's weights.
        environment: See `describe`.
        seed: Of the training; None if not known, as for the others.
        checkpoint: Of the run.
        step: Of the checkpoint.
        matching: How weights of the checkpoint's accuracy were found; None where none was asked
            for.
        parameters: Number of trained numbers.
        experiment: The run's configuration as JSON.
        train_images: Number of training images; None too if they were rendered and never repeated.
        test_data: The dataset's name again if it is not the run's own.
        limit: Number of test images asked for, drawn at random; 0 for all.
    """

    run: str
    name: str
    model: str
    dataset: str
    data: str
    weights: str
    environment: Mapping[str, Any]
    seed: int | None = None
    checkpoint: Checkpoint = Checkpoint()
    step: int | None = None
    matching: str | None = None
    parameters: int | None = None
    experiment: Mapping[str, Any] | None = None
    train_images: int | None = None
    test_data: str | None = None
    limit: int = 0

    def is_of_same(self, other: "Provenance") -> bool:
        """True if both are of one model and of the same images, wherever they were measured."""
        names = ("run", "name", "seed", "checkpoint", "step", "weights", "limit", "data")
        return all(getattr(self, name) == getattr(other, name) for name in names)


def describe() -> dict[str, object]:
    """Versions, devices and source revision, as a dictionary for JSON."""
    device = jax.devices()[0]
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "platform": device.platform,
        "device": _device_name(device),
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "git_revision": _git_revision(),
    }


def _version(package: str) -> str | None:
    """A package's version; None where it lies on the path without having been installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device_name(device) -> str:
    """The accelerator's kind, or the processor's name and cores where there is none."""
    if device.platform != "cpu":
        return device.device_kind
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or a container that hides it
        text = ""
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    name = names[0].strip() if names else platform.processor()
    return f"{printable(name) or 'CPU'}, {cores or '?'} core{'' if cores == 1 else 's'}"


def _git_revision() -> str | None:
    """The commit of this checkout, marked if files differ from it; None outside of git."""

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", str(_ROOT), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        revision = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision} with changes" if changed else revision


def checksum(state: Any) -> int:
    """CRC-32 over the bytes of all arrays of a pytree, in its order."""
    value = 0
    for leaf in jax.tree.leaves(state):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data, value)
    return value
