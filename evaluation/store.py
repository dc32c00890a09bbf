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
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.errors import UserError
from evaluation.records import PARTIAL, SCHEMA, Result, make_record, write_text

# Facts that must agree for a record to answer a new request.
_IDENTITY = ("suite", "run", "name", "seed", "checkpoint", "step", "weights", "limit", "data")


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
        return self.folder / facts["run"] / folder / f"{facts['suite']}.json"


def _one_result_a_line(record: dict[str, Any]) -> str:
    """JSON that people can read, at a third of the length of one number a line."""
    results = record.pop("results")
    head = json.dumps(record, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(json.dumps(result) for result in results)
    return f'{head},\n  "results": [\n    {lines}\n  ]\n}}\n'


def _read(path: pathlib.Path) -> Record:
    try:
        content = json.loads(path.read_text())
        if content.pop("schema") != SCHEMA:
            raise UserError(f"{path} has another schema than {SCHEMA}; delete it to measure again")
        stored = content.pop("results")
        with np.load(path.with_suffix(".npz")) as arrays:
            results = tuple(
                Result(
                    **_as_tuples(result),
                    outcomes=arrays.get(str(number)),
                    pictures=_pictures(arrays, number),
                )
                for number, result in enumerate(stored)
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"record {path} is damaged ({error}); delete it to measure again"
        ) from error
    return Record(content, results)


def _pictures(arrays: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Those of one result."""
    named = [(key, *key.split(" ", 1)) for key in arrays if " " in key]
    return {name: arrays[key] / np.float32(255.0) for key, of, name in named if of == str(number)}


def _as_tuples(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "interval": tuple(result["interval"]), "flags": tuple(result["flags"])}
