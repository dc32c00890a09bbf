"""Time that only grows, and rates that are known only where time has passed."""

import time


class Stopwatch:
    """Adds up the seconds that it runs.

    A clock may stand still (a coarse one) or jump back (a suspended or migrated machine); such a
    stretch counts as no time, and what was added up before stays.
    """

    def __init__(self):
        self._seconds = 0.0
        self._last: float | None = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds that it has added up so far, never negative and never less than before."""
        if self._last is not None:
            now = time.perf_counter()
            self._seconds += max(now - self._last, 0.0)
            self._last = now
        return self._seconds

    def pause(self) -> None:
        """Stops it until `resume`."""
        _ = self.seconds
        self._last = None

    def resume(self) -> None:
        """Lets it run again."""
        self._last = time.perf_counter()


def per_second(amount: float, seconds: float) -> float | None:
    """A rate; None where no time has passed, so that none is known."""
    return amount / seconds if seconds > 0.0 else None
