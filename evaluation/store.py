"""The records of an evaluation: one JSON file for each model, seed, checkpoint and suite.

    OUT/records/RUN/CHECKPOINT/SUITE.json   facts and results, under a schema version
    OUT/records/RUN/CHECKPOINT/SUITE.npz    each result's outcome for every image, by its number,
                                            and its pictures, by its number and what they show

A record is found again by its facts, so that an interrupted evaluation goes on where it was.
"""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import UserError
from common.files import PARTIAL, write_text
from common.stored import (
    MAX_NUMBER,
    Kinds,
    Nothing,
    Number,
    check_fields,
    check_numbers,
    damaged,
    read_arrays,
    read_object,
)
from evaluation.records import SCHEMA, Result, make_record

# Facts that must agree for a record to answer a new request.
_IDENTITY = ("suite", "run", "name", "seed", "checkpoint", "step", "weights", "limit", "data")
# What comparisons and reports read of a record's facts and results, and the types that they expect.
_FACTS: dict[str, Kinds] = {
    **dict.fromkeys(("suite", "run", "name", "model", "checkpoint", "dataset"), str),
    **dict.fromkeys(("data", "weights"), str),
    **dict.fromkeys(("seed", "step", "parameters", "train_images"), (int, Nothing)),
    "limit": int,
    "environment": dict,
    "experiment": (dict, Nothing),
    "test_data": (str, Nothing),
    "seconds": Number,
}
_RESULT: dict[str, Kinds] = {
    **dict.fromkeys(
        ("suite", "metric", "interval_method", "data_checksum", "unit", "condition", "axis"), str
    ),
    "value": Number,
    "interval": list,
    "count": int,
    "details": dict,
    "strength": (*Number, Nothing),
    "parameters": dict,
    "flags": list,
}


@dataclasses.dataclass(frozen=True)
class Record:
    """What one suite measured of one model.

    Attributes:
        facts: About model, data and machine: "suite", "run" (its folder's name), "name" (of its
            configuration), "model" (what runs that differ in their seed alone have in common),
            "seed", "checkpoint" ("last", "best" or "99.00 % on validation"), "step", "weights"
            (a checksum), "parameters", "dataset" (whose test images were asked about), "test_data"
            (its name again if it is not the run's own, else None), "data" (a checksum), "limit"
            (images asked for, 0 for all), "environment", "experiment", "train_images" (None if not
            known) and "seconds".
        results: With their outcomes and pictures.
    """

    facts: dict[str, Any]
    results: tuple[Result, ...]


class RecordStore:
    """The records below one folder.

    Args:
        folder: Made when the first record is written.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "records"

    def find(self, facts: dict[str, Any]) -> Record | None:
        """The finished record of the same model, images and suite, if there is one."""
        path = self._path(facts)
        if not path.is_file():
            return None
        record = _read(path)
        same = all(record.facts.get(name) == facts[name] for name in _IDENTITY)
        return record if same else None

    def write(self, facts: dict[str, Any], results: Sequence[Result]) -> Record:
        """Writes a record whole or not at all."""
        path = self._path(facts)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {}
        for number, result in enumerate(results):
            if result.outcomes is not None:
                arrays[str(number)] = result.outcomes
            for name, shown in result.pictures.items():
                arrays[f"{number} {name}"] = np.round(255.0 * shown).astype(np.uint8)
        beside = path.with_suffix(".npz")
        temporary = beside.with_name(beside.name + PARTIAL)
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(temporary, beside)
        write_text(path, _one_result_a_line(make_record(results, **facts)))
        return Record(facts, tuple(results))

    def read_all(self) -> list[Record]:
        """All records, in the order of their paths."""
        return [_read(path) for path in sorted(self.folder.glob("*/*/*.json"))]

    def _path(self, facts: dict[str, Any]) -> pathlib.Path:
        folder = facts["checkpoint"].replace(" % on validation", "")
        if facts.get("test_data"):
            folder += f" on {facts['test_data'].replace('/', ' ')}"
        run, folder, suite = map(_as_name, (facts["run"], folder, facts["suite"]))
        return self.folder / run / folder / f"{suite}.json"


def _as_name(text: str) -> str:
    """A text as the name of one file or folder in its place, whatever it says."""
    name = re.sub(r"[/\\\0]", "_", text)
    return "_" if name in ("", ".", "..") else name


def _one_result_a_line(record: dict[str, Any]) -> str:
    """JSON that people can read, at a third of the length of one number a line."""
    results = record.pop("results")
    head = json.dumps(record, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(json.dumps(result) for result in results)
    return f'{head},\n  "results": [\n    {lines}\n  ]\n}}\n'


def _read(path: pathlib.Path) -> Record:
    try:
        return _read_checked(path)
    except UserError as error:
        raise UserError(f"record {path}: {error}; delete it to measure again") from error


def _read_checked(path: pathlib.Path) -> Record:
    with damaged(path):
        content = read_object(path)
        if content.pop("schema") != SCHEMA:
            raise UserError(f"{path} has another schema than {SCHEMA}")
        stored = content.pop("results")
        _check_facts(content)
        arrays = read_arrays(path.with_suffix(".npz"))
        results = tuple(
            Result(
                **_checked(result),
                outcomes=_outcomes(arrays.get(str(number)), result["count"]),
                pictures=_pictures(arrays, number),
            )
            for number, result in enumerate(stored)
        )
    return Record(content, results)


def _check_facts(facts: dict[str, Any]) -> None:
    check_fields(facts, _FACTS, optional=("train_images", "test_data", "name"))
    if not isinstance(facts["environment"].get("versions", {}), dict):
        raise TypeError("the environment's versions are no object")


def _checked(result: Any) -> dict[str, Any]:
    """The fields of a result, each of its type."""
    if not isinstance(result, dict):
        raise TypeError(f"a result is a {type(result).__name__}")
    check_fields(result, _RESULT)
    interval = result["interval"]
    check_numbers([result["value"], *interval], result["metric"])
    check_numbers(result["details"].values(), f"a detail of {result['metric']}")
    if len(interval) != 2 or interval[0] > interval[1] or result["count"] < 1:
        raise ValueError(f"{result['metric']} has the interval {interval} of {result['count']}")
    if result["unit"] == "rate" and not 0.0 <= result["value"] <= 1.0:
        raise ValueError(f"{result['metric']} is a rate of {result['value']}")
    if not isinstance(result["parameters"].get("chance", 0.0), Number):
        raise TypeError("chance is no number")
    check_numbers([result["strength"] or 0.0], "strength")
    if not all(isinstance(flag, str) for flag in result["flags"]):
        raise TypeError("a flag is no text")
    return {**result, "interval": tuple(interval), "flags": tuple(result["flags"])}


def _outcomes(outcomes: np.ndarray | None, count: int) -> np.ndarray | None:
    if outcomes is not None and outcomes.shape != (count,):
        raise ValueError(f"outcomes of {count} images have the shape {outcomes.shape}")
    if outcomes is not None and not np.all(np.abs(outcomes.astype(float)) <= MAX_NUMBER):
        raise ValueError("an outcome is no number")
    return outcomes


def _pictures(arrays: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Those of one result."""
    named = [(key, *key.split(" ", 1)) for key in arrays if " " in key]
    of_result = {name: arrays[key] for key, of, name in named if of == str(number)}
    if any(shown.dtype != np.uint8 for shown in of_result.values()):
        raise ValueError("pictures have other levels than those of 8 bits")
    return {name: shown / np.float32(255.0) for name, shown in of_result.items()}
