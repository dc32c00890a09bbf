"""Where and with what a run ran, and the devices that it runs on."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import time

import jax
from jax.sharding import AxisType, Mesh

from common.errors import UserError, first_line, printable
from training.step import DATA_AXIS

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
_ROOT = pathlib.Path(__file__).parents[2]


def make_mesh() -> Mesh:
    """One axis over all devices of all hosts.

    Raises:
        UserError: if the platform that JAX was told to use has no device.
    """
    try:
        count = jax.device_count()
    # JAX asserts that a named platform is there, and under python -O asks None for its devices.
    except (RuntimeError, AssertionError, AttributeError) as error:
        reason = first_line(error) if str(error) else "JAX finds none"
        raise UserError(
            f"no device to run on ({reason}); check JAX_PLATFORMS="
            f"{os.environ.get('JAX_PLATFORMS', '')!r} and the installed jax (GPUs: pip install "
            "-e '.[train,cuda]')"
        ) from error
    return jax.make_mesh((count,), (DATA_AXIS,), axis_types=(AxisType.Auto,))


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
