"""Faults of a checkpoint, in the words of one line.

Orbax and tensorstore raise and log many kinds of errors, most of them as tracebacks of threads.
"""

import errno
import json
import logging as standard_logging
import math
import os
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from absl import logging

from common.errors import UserError, first_line

# The facts of a checkpoint that the training reads.
VALIDATION_ACCURACY = "validation_accuracy"
TRAIN_SECONDS = "train_seconds"
WINDOW = "window"
ORIGIN = "initial weights"
CHECKSUM = "crc32"
STEP = "step"
# Reasons why a file cannot be written or read, as they are spelled in longer messages.
_REASONS = tuple(
    os.strerror(number)
    for number in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
)
# Of files that are not there or are something else, which is damage; other errors may pass.
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
# Codes by which XLA and tensorstore say that a resource was lacking, not what a file holds.
_LACKING = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "UNAVAILABLE", "DEADLINE_EXCEEDED")
# How orbax begins to say that a state has other arrays than were asked for.
_MISFITS = ("tree structures do not match", "not compatible with the stored shape")
# How tensorstore says that a file is not what was written.
_PROOFS = ("DATA_LOSS", "OUT_OF_RANGE", "NOT_FOUND", "Error decoding")
_BYTES_AT_ONCE = 1 << 20


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


class DamagedError(UserError):
    """The files of a checkpoint prove that it is not what was saved."""

    def __init__(self, place: pathlib.Path, fault: str):
        super().__init__(f"checkpoint {place} is damaged: {fault}")


def refusal(error: Exception, place: pathlib.Path) -> UserError:
    """The error of a checkpoint that could not be restored.

    Only what its files prove is damage: a machine that lacks memory or files to open, a disk that
    does not answer or another version of the model leaves a checkpoint as good as it was.

    Args:
        error: Of orbax, tensorstore or XLA.
        place: The folder of the checkpoint.
    """
    if found := obstacle(error) or _obstacle_of_files(place):
        return unreadable(place, found)
    if _is_proof(error, place):
        return DamagedError(place, reason(error))
    return other_version(place, reason(error))


def unreadable(place: pathlib.Path, why: str) -> UserError:
    """The error of a checkpoint that cannot be read now, and may be later."""
    return UserError(
        f"checkpoint {place} cannot be read ({why}); it is left as it is, so run the same command "
        "again once it can be read"
    )


def other_version(place: pathlib.Path, difference: str) -> UserError:
    """The error of a checkpoint that is whole, as far as is known, and does not fit."""
    return UserError(
        f"checkpoint {place} is of another model or version ({difference}); it is left as it is: "
        "restore it by the code and the packages that saved it, choose another --workdir, or move "
        "it away to go on from the one before"
    )


def obstacle(error: BaseException | None) -> str | None:
    """The reason that an error has outside of what it was to read; None for none that is known."""
    while error is not None:
        if isinstance(error, MemoryError) or any(code in str(error) for code in _LACKING):
            return reason(error)
        if isinstance(error, OSError) and error.errno not in (None, *_MISSING):
            return error.strerror or reason(error)
        if any(known in str(error) for known in _REASONS):
            return reason(error)
        error = error.__cause__
    return None


def _obstacle_of_files(place: pathlib.Path) -> str | None:
    """The reason why a file below a folder cannot be read; None if all can be."""

    def stop(error: OSError) -> None:
        raise error

    try:
        for folder, _, names in os.walk(place, onerror=stop):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    while file.read(_BYTES_AT_ONCE):
                        pass
    except OSError as error:
        return None if error.errno in _MISSING else error.strerror
    return None


def _is_proof(error: Exception, place: pathlib.Path) -> bool:
    """True of an error that the files of a checkpoint, all of which can be read, account for."""
    if any(misfit in str(error) for misfit in _MISFITS):
        return False
    if isinstance(error, (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError)):
        return True
    if any(proof in str(error) for proof in _PROOFS):
        return True
    if not all((place / item).is_dir() for item in ("state", "facts")):
        return True
    metadata = place / "state" / "_METADATA"
    return metadata.is_file() and not _holds_an_object(metadata)


def _holds_an_object(path: pathlib.Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (ValueError, RecursionError):
        return False


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


def casting(place: pathlib.Path, like: Any) -> str | None:
    """Names the first array that is stored in another type than was asked for; None for none.

    Orbax casts such arrays, so that the checksum of what was saved is not theirs.
    """
    with ocp.StandardCheckpointer() as checkpointer:
        stored = checkpointer.metadata(place / "state").item_metadata
    pairs = zip(jax.tree.leaves_with_path(like), jax.tree.leaves(stored.tree), strict=True)
    for (path, wanted), found in pairs:
        is_key = jnp.issubdtype(wanted.dtype, jax.dtypes.extended)
        if not is_key and found.dtype != wanted.dtype:
            return f"{jax.tree_util.keystr(path)} is {found.dtype}, not {wanted.dtype}"
    return None


def reason(error: BaseException) -> str:
    """The reason that an error of orbax or tensorstore ends in, without what lies around it."""
    text = str(error)
    return next((reason for reason in _REASONS if reason in text), first_line(error)[:200])
