"""Arguments that the benchmarks have in common, and the file that their figures go to.

A place for figures is looked at while arguments are parsed, for what is timed takes minutes.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import pathlib
import sys
from collections.abc import Callable, Sequence

from common.commands import steady_screen
from common.errors import UserError
from common.files import writable_file, write_json
from common.tables import markdown_table
from evaluation.results.provenance import describe


def make_parser(docstring: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with `--json` and `--rounds`, described by a docstring's first line."""
    steady_screen()
    parser = argparse.ArgumentParser(description=(docstring or "").splitlines()[0])
    parser.add_argument("--json", type=place(writable_file), help="where to write the figures")
    parser.add_argument("--rounds", type=count, default=rounds, help="turns of every contender")
    return parser


def place(look: Callable[[str, str], pathlib.Path]) -> Callable[[str], pathlib.Path]:
    """An argument's type: a place that can be written, else a message.

    Args:
        look: `common.files.writable_file` or `writable_folder`.
    """

    def parse(text: str) -> pathlib.Path:
        try:
            return look(text, "here")
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("here=").strip()) from error

    return parse


def count(text: str) -> int:
    """An argument's type: a number from 1 on."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1 on")
    return number


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
    try:
        write_json(path, {"command": command, **describe(), **figures})
    except OSError as error:
        sys.exit(f"error: --json={path} cannot be written ({error.strerror or error})")


def ragged_table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table of rows that need not all have all columns."""
    columns = dict.fromkeys(column for row in rows for column in row)
    return markdown_table([{column: row.get(column, "") for column in columns} for row in rows])


def name_of(contender: str, dtype: str) -> str:
    """A contender's name, with its compute type where that is not float32."""
    return contender if dtype == "float32" else f"{contender}, {dtype}"


def has_torch() -> bool:
    """True if PyTorch, the optional peer, is installed."""
    return importlib.util.find_spec("torch") is not None


def describe_torch() -> dict[str, object]:
    """PyTorch's version and threads; nothing where it is not installed."""
    if not has_torch():
        return {}
    threads = importlib.import_module("torch").get_num_threads()
    return {"torch": importlib.metadata.version("torch"), "torch_threads": threads}
