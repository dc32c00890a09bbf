"""Records as JSON and arrays, and back; what is read may come from a stranger.

A record is a JSON object of its provenance and of each result's numbers and texts, and arrays by
name: "3" is the outcomes of result 3, "3/0/counts" an array of its first artifact.
"""

import dataclasses
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.stored import (
    MAX_NUMBER,
    Kinds,
    Nothing,
    Number,
    check_fields,
    check_numbers,
    check_object,
)
from evaluation.results import artifacts
from evaluation.results.artifacts import Artifact
from evaluation.results.earlier_schemas import record_from_earlier, result_from_earlier
from evaluation.results.provenance import Checkpoint, Provenance
from evaluation.results.quantities import Axis, Detail, Metric, Part
from evaluation.results.result import Record, Result

SCHEMA = 3
_EARLIER = (1, 2)
# Of a mean over images that was taken once more, in parts of the value.
_ROUNDING = 1e-6

_TEXTS = ("run", "name", "model", "dataset", "data", "weights")
_PROVENANCE: dict[str, Kinds] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("seed", "step", "parameters", "train_images"), (int, Nothing)),
    "limit": int,
    "environment": dict,
    "experiment": (dict, Nothing),
    **dict.fromkeys(("test_data", "matching"), (str, Nothing)),
    "checkpoint": dict,
}
_RESULT: dict[str, Kinds] = {
    **dict.fromkeys(("suite", "interval_method", "data_checksum", "condition"), str),
    **dict.fromkeys(("metric", "details", "definition"), dict),
    **dict.fromkeys(("interval", "flags", "artifacts"), list),
    **dict.fromkeys(("strength", "chance"), (*Number, Nothing)),
    "axis": (dict, Nothing),
    "value": Number,
    "count": int,
}
_METRIC: dict[str, Kinds] = {
    "name": str,
    "unit": str,
    "higher_is_better": (bool, Nothing),
    "bounds": (list, Nothing),
}
_AXIS: dict[str, Kinds] = {
    "name": str,
    "unit": str,
    "log": bool,
    **dict.fromkeys(("identity", "headline"), (*Number, Nothing)),
    "parts": (list, tuple),
}


def record_to_json(record: Record) -> dict[str, Any]:
    """All of a record but its arrays."""
    return {
        "schema": SCHEMA,
        "suite": record.suite,
        "seconds": record.seconds,
        "provenance": dataclasses.asdict(record.provenance),
        "results": [result_to_json(result) for result in record.results],
    }


def record_from_json(stored: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Record:
    """A record of what `record_to_json` and `arrays_of` left, today or with an earlier schema.

    Raises:
        KeyError: if something is missing.
        TypeError: if something is of another type.
        ValueError: if something has a value that cannot be, or the schema is another.
    """
    if stored["schema"] in _EARLIER:
        stored, arrays = _brought_along(record_from_earlier(stored, arrays))
    _check_schema(stored)
    check_fields(stored, {"suite": str, "seconds": Number, "provenance": dict, "results": list})
    return Record(
        stored["suite"],
        _provenance(stored["provenance"]),
        tuple(
            result_from_json(result, _of_number(arrays, number))
            for number, result in enumerate(stored["results"])
        ),
        stored["seconds"],
    )


def results_from_json(stored: Mapping[str, Any]) -> tuple[Result, ...]:
    """The results of any object that has them and a schema, without arrays.

    Raises:
        KeyError: as `record_from_json`, like the others.
        TypeError: see there.
        ValueError: see there.
    """
    found = stored["results"]
    if stored["schema"] in _EARLIER:
        found = [result_to_json(result_from_earlier(result)) for result in found]
    else:
        _check_schema(stored)
    return tuple(map(result_from_json, found))


def _check_schema(stored: Mapping[str, Any]) -> None:
    if stored["schema"] != SCHEMA:
        raise ValueError(f"it has another schema than {SCHEMA}")


def _brought_along(record: Record) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What an earlier record is stored as today, so that all checks are of one place."""
    return record_to_json(record), arrays_of(record)


def arrays_of(record: Record) -> dict[str, np.ndarray]:
    """The outcomes and the artifacts' arrays of all results, by name."""
    arrays = {}
    for number, result in enumerate(record.results):
        if result.outcomes is not None:
            arrays[str(number)] = result.outcomes
        for k, artifact in enumerate(result.artifacts):
            for name, array in artifact.to_arrays().items():
                arrays[f"{number}/{k}/{name}"] = array
    return arrays


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of an .npz file, the same for the same arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _of_number(arrays: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """The arrays of one result; the outcomes have an empty name."""
    start = str(number)
    return {
        name.removeprefix(start).removeprefix("/"): array
        for name, array in arrays.items()
        if name == start or name.startswith(f"{start}/")
    }


def result_to_json(result: Result) -> dict[str, Any]:
    """All of a result but its arrays."""
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    del fields["outcomes"]
    return {
        **fields,
        "interval": list(result.interval),
        "flags": list(result.flags),
        "details": {name: list(detail) for name, detail in result.details.items()},
        "metric": _metric_to_json(result.metric),
        "axis": None if result.axis is None else dataclasses.asdict(result.axis),
        "artifacts": [
            {"kind": artifacts.kind_of(artifact), "label": artifact.label}
            for artifact in result.artifacts
        ],
    }


def _metric_to_json(metric: Metric) -> dict[str, Any]:
    bounds = metric.bounds
    if bounds is not None:  # JSON has no infinity
        bounds = [end if math.isfinite(end) else None for end in bounds]
    return {**dataclasses.asdict(metric), "bounds": bounds}


def result_from_json(stored: Any, arrays: Mapping[str, np.ndarray] | None = None) -> Result:
    """A result of what `result_to_json` left.

    Args:
        stored: From JSON.
        arrays: Its outcomes, under an empty name, and its artifacts' arrays; None for a result
            whose arrays were not kept.

    Raises:
        KeyError: as `record_from_json`, like the others.
        TypeError: see there.
        ValueError: see there.
    """
    check_object(stored, _RESULT, "a result")
    metric = _metric(stored["metric"])
    check_numbers([stored["value"], *stored["interval"]], metric.name)
    interval = tuple(stored["interval"])
    if len(interval) != 2 or interval[0] > interval[1] or stored["count"] < 1:
        raise ValueError(f"{metric.name} has the interval {interval} of {stored['count']}")
    low, high = metric.limits
    if not low <= stored["value"] <= high:
        raise ValueError(f"{metric.name} is {stored['value']}, not in [{low:g}, {high:g}]")
    check_numbers([stored[name] or 0.0 for name in ("strength", "chance")], "strength or chance")
    if not all(isinstance(flag, str) for flag in stored["flags"]):
        raise TypeError("a flag is no text")
    outcomes = _outcomes((arrays or {}).get(""), stored["count"], stored["value"])
    return Result(
        **{
            **stored,
            "metric": metric,
            "interval": interval,
            "axis": None if stored["axis"] is None else _axis(stored["axis"]),
            "details": {name: _detail(name, each) for name, each in stored["details"].items()},
            "flags": tuple(stored["flags"]),
            "outcomes": outcomes,
            "artifacts": () if arrays is None else _artifacts(stored["artifacts"], arrays),
        }
    )


def _metric(stored: dict[str, Any]) -> Metric:
    check_fields(stored, _METRIC)
    bounds = stored["bounds"]
    if bounds is not None:
        check_numbers([end for end in bounds if end is not None], "bounds")
        low, high = bounds
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
        if bounds[0] > bounds[1]:
            raise ValueError(f"{stored['name']} has the bounds {bounds}")
    return Metric(stored["name"], stored["unit"], stored["higher_is_better"], bounds)


def _axis(stored: dict[str, Any]) -> Axis:
    check_fields(stored, _AXIS, optional=("parts",))
    check_numbers([stored[name] or 0.0 for name in ("identity", "headline")], "identity, headline")
    given = {name: stored[name] for name in _AXIS if name in stored}
    return Axis(**{**given, "parts": tuple(map(_part, stored.get("parts", ())))})


def _part(stored: Any) -> Part:
    name, strengths = stored
    if not isinstance(name, str) or not isinstance(strengths, list | tuple):
        raise TypeError("a part of an axis is no name and list of strengths")
    check_numbers(strengths, name)
    return Part(name, tuple(strengths))


def _detail(name: str, stored: Any) -> Detail:
    value, unit = stored
    check_numbers([value], name)
    if not isinstance(unit, str):
        raise TypeError(f"the unit of {name} is no text")
    return Detail(value, unit)


def _provenance(stored: dict[str, Any]) -> Provenance:
    check_fields(stored, _PROVENANCE, optional=("test_data", "train_images", "matching"))
    if not isinstance(stored["environment"].get("versions", {}), dict):
        raise TypeError("the environment's versions are no object")
    kind, *numbers = (stored["checkpoint"].get(name) for name in ("kind", "accuracy", "tolerance"))
    check_numbers([number for number in numbers if number is not None], "a checkpoint's accuracy")
    given = {name: stored[name] for name in _PROVENANCE if name in stored}
    return Provenance(**{**given, "checkpoint": Checkpoint(str(kind), *numbers)})


def _outcomes(outcomes: np.ndarray | None, count: int, value: float) -> np.ndarray | None:
    if outcomes is None:
        return None
    if outcomes.shape != (count,):
        raise ValueError(f"outcomes of {count} images have the shape {outcomes.shape}")
    if not np.all(np.abs(outcomes.astype(float)) <= MAX_NUMBER):
        raise ValueError("an outcome is no number")
    mean = float(np.mean(outcomes))
    if abs(mean - value) > _ROUNDING * max(1.0, abs(value)):
        raise ValueError(f"the mean of the outcomes is {mean:g}, not {value:g}")
    return outcomes


def _artifacts(stored: list[Any], arrays: Mapping[str, np.ndarray]) -> tuple[Artifact, ...]:
    found = []
    for number, each in enumerate(stored):
        check_fields(each, {"kind": str, "label": str})
        start = f"{number}/"
        own = {
            name.removeprefix(start): array
            for name, array in arrays.items()
            if name.startswith(start)
        }
        found.append(artifacts.make(each["kind"], each["label"], own))
    return tuple(found)
