"""Where results come from: machine, versions, revision, and a checksum of the weights."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import time
import zlib
from typing import Any

import jax
import numpy as np

from common.errors import printable

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
_ROOT = pathlib.Path(__file__).parents[2]


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
    return f"{printable(name) or 'CPU'}, {cores or '?'} cores"


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
