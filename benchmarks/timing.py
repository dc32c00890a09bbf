"""Times contenders in turns, so that a machine's moods fall on all of them alike."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# A call that returns when its work is done.
Contender = Callable[[], object]
Times = dict[str, dict[str, float]]

# PyTorch's OpenMP threads spin for milliseconds after a call: without a pause they would take a
# core from the next contender's short calls.
_PAUSE_SECONDS = 0.03
# Short calls are timed several times a turn. A contender far slower than the fastest takes part in
# two turns only.
_SHORT_SECONDS = 0.1
_SHORT_CALLS = 5
_FAR_SLOWER = 5.0


class _Taken(NamedTuple):
    wall: float
    process: float


def measure(contenders: dict[str, Contender], rounds: int) -> Times:
    """Times every contender once a round, after one call each that is not timed.

    Returns:
        Median and minimum of each, in milliseconds, and as "process_ms" the median time of all
        cores together, on which what else the machine does weighs less.
    """
    seconds = {name: [_seconds(call)] for name, call in contenders.items()}
    for number in range(rounds):
        fastest = min(min(taken).wall for taken in seconds.values())
        for name, call in contenders.items():
            quickest = min(seconds[name]).wall
            if number == 0:
                seconds[name].clear()  # the first call compiled, or warmed up
            elif number >= 2 and quickest > max(_FAR_SLOWER * fastest, _SHORT_SECONDS):
                continue
            time.sleep(_PAUSE_SECONDS)
            if quickest < _SHORT_SECONDS:
                call()
            for _ in range(_SHORT_CALLS if quickest < _SHORT_SECONDS else 1):
                seconds[name].append(_seconds(call))
    return {name: _in_milliseconds(taken) for name, taken in seconds.items()}


def _in_milliseconds(taken: list[_Taken]) -> dict[str, float]:
    wall, process = np.median(taken, axis=0)
    return {
        "median_ms": 1e3 * float(wall),
        "minimum_ms": 1e3 * min(taken).wall,
        "process_ms": 1e3 * float(process),
    }


def _seconds(call: Contender) -> _Taken:
    wall, process = time.perf_counter(), time.process_time()
    call()
    wall, process = time.perf_counter() - wall, time.process_time() - process
    # A coarse clock may not have moved; speeds are divided by these.
    return _Taken(max(wall, 1e-9), max(process, 1e-9))
