"""How every command runs: nothing that it prints can end it, and what a user causes is one line."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from common.errors import UserError, printable


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
