"""Stopping on Ctrl-C, SIGTERM and SIGHUP between steps instead of in their midst."""

import contextlib
import os
import signal
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

# Windows has no SIGHUP.
_NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_NOTICE = b"\nstopping once the steps under way are saved; Ctrl-C again leaves at once\n"


class Interrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; everything up to here is saved.

    Attributes:
        signal_number: What asked for it.
    """

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class StopRequest:
    """Remembers the first signal that asked for a stop.

    Schedulers, shells and impatient people send several, and one Ctrl-C may arrive as SIGTERM and
    SIGINT: however many there are, the run stops once and saves. Only a second SIGINT, which
    nobody sends by accident, does not wait.
    """

    def __init__(self):
        self.signal_number = 0
        self._interrupts = 0

    def __call__(self, signal_number, frame):
        """Handles a signal."""
        del frame
        if signal_number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                # An exception could be lost in one of JAX's callbacks, and would wait for threads.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            if not self.signal_number:
                # Not through sys.stderr, whose buffer the signal may have found in use.
                with contextlib.suppress(OSError):
                    os.write(2, _NOTICE)
        self.signal_number = self.signal_number or signal_number

    def agreed(self) -> int:
        """The number of a signal that asked any of the processes for a stop, 0 if none did.

        All processes call it together, for one may be asked and the others not.
        """
        if jax.process_count() == 1:
            return self.signal_number
        return int(multihost_utils.process_allgather(np.array(self.signal_number)).max())

    def raise_if_asked(self) -> None:
        """Raises `Interrupted` if a stop was asked for, in every process or in none.

        Where nothing is left to save; see `agreed`.
        """
        if asked := self.agreed():
            raise Interrupted(asked)


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Makes SIGINT, SIGTERM and SIGHUP only leave a note while this lasts.

    A signal that was ignored stays ignored, as SIGINT is for a script's background jobs and SIGHUP
    under nohup.
    """
    request = StopRequest()
    previous = {
        number: signal.signal(number, request)
        for number in _NUMBERS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
