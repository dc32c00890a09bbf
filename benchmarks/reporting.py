"""What the benchmarks have in common: their arguments, and the file that their figures go to."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import pathlib
import sys

from evaluation.records import write_json
from training.environment import describe


def make_parser(docstring: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with `--json` and `--rounds`, described by a docstring's first line."""
    parser = argparse.ArgumentParser(description=(docstring or "").splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures")
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of every contender")
    return parser


def write_figures(
    path: pathlib.Path | None, name: str, arguments: list[str] | None, **figures: object
) -> None:
    """Writes figures beside the command and the machine that they are of.

    Args:
        path: The JSON file; None writes nothing.
        name: Of the benchmark's module.
        arguments: Of its `main`; None for the process's own.
        figures: What was measured.
    """
    if path is None:
        return
    command = ["python", "-m", f"benchmarks.{name}", *(arguments or sys.argv[1:])]
    write_json(path, {"command": command, **describe(), **figures})


def has_torch() -> bool:
    """Whether PyTorch, the optional peer, is installed."""
    return importlib.util.find_spec("torch") is not None


def describe_torch() -> dict[str, object]:
    """PyTorch's version and threads; nothing where it is not installed."""
    if not has_torch():
        return {}
    threads = importlib.import_module("torch").get_num_threads()
    return {"torch": importlib.metadata.version("torch"), "torch_threads": threads}
