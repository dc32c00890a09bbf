"""Stopping on Ctrl-C and SIGTERM between steps instead of in their midst."""

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; everything up to here is saved.

    Attributes:
        signal_number: What asked for it.
    """

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class StopRequest:
    """Remembers the first signal that asked for a stop."""

    def __init__(self):
        self.signal_number = 0

    def __call__(self, signal_number, frame):
        """Handles a signal; the second one no longer waits."""
        del frame
        if self.signal_number:
            raise KeyboardInterrupt
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """While this lasts, SIGINT and SIGTERM only leave a note; a second one stops at once.

    A signal that was ignored stays ignored, as SIGINT is for a script's background jobs.
    """
    request = StopRequest()
    previous = {
        number: signal.signal(number, request)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
