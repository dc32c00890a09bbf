"""Frame of every command: nothing that it prints can end it; what a user causes is one line."""

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from common.errors import UserError, printable

# A package of the extra that commands need, by the name that imports it.
_PACKAGES = {
    "absl": "absl-py",
    "array_record": "array-record",
    "flatbuffers": "flatbuffers",
    "importlib_resources": "importlib_resources",
    "matplotlib": "matplotlib",
    "optax": "optax",
    "orbax": "orbax-checkpoint",
    "PIL": "pillow",
    "requests": "requests",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "tensorflow_datasets": "tensorflow-datasets",
    "tqdm": "tqdm",
}


def begin(*quiet: str, stream: TextIO | None = None) -> None:
    """Says that imports have begun, which take seconds; to be called before them.

    A command whose packages are not installed ends here, in one line.

    Args:
        quiet: Beginnings of words on the command line with which nothing is announced.
        stream: Where to; standard output by default.
    """
    if lacking := missing_packages():
        sys.exit(
            f"error: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed; "
            "the commands need pip install -e '.[train]'"
        )
    if not any(word.startswith(quiet) for word in sys.argv[1:]):
        with contextlib.suppress(OSError, AttributeError):  # a screen that is closed, or None
            print("importing JAX", file=stream or sys.stdout, flush=True)


def missing_packages() -> list[str]:
    """Packages that commands need and that are not installed, by their names on an index."""
    return [package for name, package in _PACKAGES.items() if not importlib.util.find_spec(name)]


def run(main: Callable[[Sequence[str]], None], *, stopped: str = "stopped") -> None:
    """Runs a command with the words of the command line, to be called last.

    Mistakes of a user and of the machine end in one line and a non-zero status, without a
    traceback.

    Args:
        main: Takes all words, the command's own name first.
        stopped: The line after Ctrl-C.
    """
    steady_screen()
    try:
        main(sys.argv)
    except (UserError, OSError) as error:
        sys.exit(f"error: {printable(error)}")
    except KeyboardInterrupt:
        sys.exit(stopped)


def steady_screen() -> None:
    """Makes sure that nothing printed can end the command.

    A character that the screen's encoding lacks is shown as "?". A screen that goes away (a closed
    terminal, `| head`, a full disk under a log) is written to no more, and the work goes on; one
    that was closed from the start takes nothing.
    """
    for number in (0, 1, 2):
        # Or the next file that is opened would get its number, and what C libraries print.
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _Screen(sys.stdout), _Screen(sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser of a command line whose mistakes are a `UserError`, one line without the usage.

    Args:
        program: The command's file.
        description: Of the command, for `--help`.
    """

    def __init__(self, program: str, *, description: str | None):
        super().__init__(
            program,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raises a `UserError`."""
        raise UserError(f"{message}; python {self.prog} --help says what there is")


class _Screen:
    """A text stream that falls silent where another would raise; silent from the start if None."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream or open(os.devnull, "w")  # noqa: SIM115 - open to the end
        if hasattr(stream, "reconfigure"):  # a test's or notebook's stand-in has none
            stream.reconfigure(errors="replace")  # pyright: ignore

    def write(self, text: str) -> int:
        """Writes a text, if anything still takes it."""
        return self._try(lambda: self._stream.write(text), len(text))

    def flush(self) -> None:
        """Flushes the stream, if anything still takes it."""
        self._try(self._stream.flush, None)

    def _try(self, act, otherwise):
        try:
            return act()
        except OSError:
            # What is buffered goes there too, or Python would complain of it at exit.
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), self._stream.fileno())
            return otherwise

    def __getattr__(self, name: str):
        return getattr(self._stream, name)
