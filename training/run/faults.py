"""Faults of a run's files, which may be a stranger's: they are checked before they are used."""

import json
import pathlib
from typing import Any

from common.errors import UserError, first_line, printable
from common.stored import WRONG_CONTENT
from evaluation.results.schema import results_from_json

# Far above what a run writes; a longer file is not read into memory.
_MAX_JSON_BYTES = 64 << 20
_MAX_NAME = 200


def read_json(path: pathlib.Path) -> Any:
    """Reads the content of a JSON file of a run, which may be anything.

    Raises:
        UserError: if it is no file, or holds no JSON.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} cannot be read (it is not a file)")
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise UserError(f"{path} cannot be read (it has over {_MAX_JSON_BYTES >> 20} MiB)")
        return json.loads(path.read_text(encoding="utf-8"))
    # ValueError: no JSON, or no UTF-8. RecursionError: brackets within brackets, thousands deep.
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason})") from error


def config_fault(stored: Any) -> str | None:
    """Names what keeps a JSON file from being a run's configuration; None for nothing."""
    if not isinstance(stored, dict):
        return "it holds no JSON object"
    name, experiment = stored.get("name"), stored.get("experiment")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or printable(name) != name:
        return "it has no name"
    if not isinstance(experiment, dict) or not isinstance(experiment.get("type"), str):
        return "it has no experiment"
    return None


def metrics_row(line: str) -> dict[str, Any] | None:
    """A line of metrics; None if a kill cut it short, or it is something else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


# What is printed of a record, and what it has to be.
_NUMBER = (int, float)
_RECORD: dict[str, Any] = {
    **dict.fromkeys(("name", "dataset"), str),
    **dict.fromkeys(("schema", "step"), int),
    "results": list,
}


def record_fault(record: Any, config: dict[str, Any]) -> str | None:
    """Names what keeps a JSON file from being the record of a run; None for nothing."""
    fault = _misses(record, _RECORD)
    if fault:
        return fault
    if not isinstance(record.get("images_per_second"), (*_NUMBER, type(None))):
        return "images_per_second is not a number"
    if record["name"] != config["name"]:
        return f"it is of {record['name']}, not {config['name']}"
    try:
        results_from_json(record)
    except WRONG_CONTENT as error:
        return f"a result is damaged ({first_line(error)})"
    return None


def _misses(stored: Any, wanted: dict[str, Any]) -> str | None:
    if not isinstance(stored, dict):
        return "a JSON object is missing"
    lacks = [key for key, kind in wanted.items() if not isinstance(stored.get(key), kind)]
    return f"it has no {', '.join(lacks)}" if lacks else None
