"""Faults of a checkpoint, in the words of one line.

Orbax and tensorstore raise and log many kinds of errors, most of them as tracebacks of threads.
"""

import errno
import logging as standard_logging
import math
import os
import sys
from typing import Any

import jax
from absl import logging

from common.errors import first_line

# The facts of a checkpoint that the training reads.
VALIDATION_ACCURACY = "validation_accuracy"
TRAIN_SECONDS = "train_seconds"
WINDOW = "window"
ORIGIN = "initial weights"
CHECKSUM = "crc32"
STEP = "step"
# Reasons why a file cannot be written, as they are spelled in longer messages.
_REASONS = tuple(
    os.strerror(number)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO)
)


def _is_news(record: standard_logging.LogRecord) -> bool:
    """Passes what orbax logs, except for the tracebacks of errors, which it raises as well."""
    return record.levelno < standard_logging.ERROR or "orbax" not in record.pathname


def _report_unless_closed(unraisable, report=sys.unraisablehook) -> None:
    """Passes errors that nobody can catch, except where tensorstore comes back too late.

    Orbax closes its event loop at the first error; each of the other writes then fails to say how
    it ended.
    """
    error = unraisable.exc_value
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        report(unraisable)


logging.get_absl_logger().addFilter(_is_news)
sys.unraisablehook = _report_unless_closed


def fault_of_facts(facts: Any, step: int) -> str | None:
    """Names what is wrong with the facts of a step; None if they can be used."""
    if not isinstance(facts, dict):
        return "its facts are not a dictionary"
    if type(facts.get(CHECKSUM)) is not int:
        return f"its facts have no {CHECKSUM}"
    if facts.get(STEP, step) != step:  # checkpoints from before facts named their step
        return f"it is of step {facts[STEP]!r}"
    if not _is_number(facts.get(VALIDATION_ACCURACY, 0.0)):
        return f"{VALIDATION_ACCURACY}={facts[VALIDATION_ACCURACY]!r} is not a number"
    seconds = facts.get(TRAIN_SECONDS, 0.0)
    if not _is_number(seconds) or seconds < 0.0:
        return f"{TRAIN_SECONDS}={seconds!r} is not a number of at least 0"
    window = facts.get(WINDOW, {"count": 0, "sums": {}})
    if not (
        isinstance(window, dict)
        and type(window.get("count")) is int
        and isinstance(window.get("sums"), dict)
        and all(type(total) is float for total in window["sums"].values())
    ):
        return f"its {WINDOW} is not one of metrics"
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def misfit(state: Any, like: Any) -> str | None:
    """Names the first array that is not of the shape and type that was asked for."""
    pairs = zip(jax.tree.leaves_with_path(like), jax.tree.leaves(state), strict=True)
    for (path, wanted), found in pairs:
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            return (
                f"{jax.tree_util.keystr(path)} is {found.dtype}{list(found.shape)}, not "
                f"{wanted.dtype}{list(wanted.shape)}"
            )
    return None


def reason(error: Exception) -> str:
    """The reason that an error of orbax or tensorstore ends in, without what lies around it."""
    text = str(error)
    return next((reason for reason in _REASONS if reason in text), first_line(error)[:200])
