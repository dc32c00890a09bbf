"""Studies: many records in few files, to keep and to share.

STUDY/README.md       the tables
STUDY/records.jsonl   one JSON object a line: first how many records there are, then what they have
                      alike (experiments, environments, metrics, axes, definitions, checksums) by
                      its hash, then records of evaluations, or final records of trainings
STUDY/outcomes.npz    outcomes for every image, and artifacts: arrays of a record that have one
                      shape are one array, so that "7|3|4" has results 3 and 4 of record 7
STUDY/figures/        pictures
"""

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from common.files import write_bytes, write_text
from common.stored import check_fields, damaged, read_arrays, read_lines, read_object
from evaluation.results.result import Record
from evaluation.results.schema import (
    SCHEMA,
    arrays_of,
    pack_arrays,
    record_from_json,
    record_to_json,
    result_to_json,
    results_from_json,
)
from evaluation.results.store import RecordStore

RECORDS, OUTCOMES = "records.jsonl", "outcomes.npz"
# What many records or results have alike, and is stored once; the moment at which a machine started
# is of each record alone.
_OF_RUNS = ("experiment", "environment")
_OF_RESULTS = ("metric", "axis", "definition", "data_checksum")
_MOMENT = "started"
# Enough of SHA-256 to tell as many as there will ever be.
_DIGITS = 12


def write_records(records: Sequence[Record], study: pathlib.Path) -> None:
    """Writes records and their arrays, each file whole or not at all.

    The lines name a checksum of the arrays' file, so that those of other records are never read
    as theirs, whatever was interrupted.
    """
    arrays = {}
    for number, record in enumerate(records):
        for names, together in _stacked(arrays_of(record)):
            arrays["|".join((str(number), *names))] = together
    study.mkdir(parents=True, exist_ok=True)
    checksum = _write_arrays(arrays, study / OUTCOMES)
    stored = [record_to_json(record) for record in records]
    _write_lines("record", stored, study, {} if checksum is None else {OUTCOMES: checksum})


def _stacked(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Arrays of one shape and type together, with their names."""
    alike: dict[tuple, list[str]] = {}
    for name, array in arrays.items():
        alike.setdefault((array.shape, array.dtype), []).append(name)
    for names in alike.values():
        yield names, np.stack([arrays[name] for name in names])


def write_trainings(trainings: Sequence[Mapping[str, Any]], study: pathlib.Path) -> None:
    """Writes final records of runs, of this schema or an earlier one.

    Raises:
        UserError: if one does not say what was trained, and where.
    """
    stored = []
    for training in trainings:
        with damaged(pathlib.Path(f"record of {training.get('name')}")):
            check_fields(training, dict.fromkeys(_OF_RUNS, dict))
        results = [result_to_json(result) for result in results_from_json(training)]
        stored.append({**training, "schema": SCHEMA, "results": results})
    study.mkdir(parents=True, exist_ok=True)
    _write_lines("training", stored, study)


def _write_lines(
    kind: str,
    stored: Sequence[dict[str, Any]],
    study: pathlib.Path,
    of_all: Mapping[str, Any] | None = None,
) -> None:
    """Writes a line for each object, behind one of all and lines of what they share."""
    shared: dict[str, Any] = {}

    def share(owner: dict[str, Any], names: Sequence[str]) -> None:
        for name in names:
            content = owner[name]
            owner[name] = _hash(content)
            shared[owner[name]] = content

    for each in stored:
        owner = _owner(each)
        environment = dict(owner["environment"])
        owner[_MOMENT] = environment.pop(_MOMENT, None)
        owner["environment"] = environment
        share(owner, _OF_RUNS)
        for result in each["results"]:
            share(result, _OF_RESULTS)
    # Lines that were cut off at the end would else be missed by nobody.
    lines = [{f"{kind}s": len(stored), **(of_all or {})}]
    lines += [{"hash": name, "content": content} for name, content in shared.items()]
    lines += [{kind: each} for each in stored]
    write_text(study / RECORDS, "".join(f"{json.dumps(line)}\n" for line in lines))


def _owner(stored: dict[str, Any]) -> dict[str, Any]:
    """What of a record or a training has its experiment and environment."""
    return stored.get("provenance", stored)


def _hash(content: Any) -> str:
    return _checksum(json.dumps(content, sort_keys=True).encode())


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _write_arrays(arrays: Mapping[str, np.ndarray], path: pathlib.Path) -> str | None:
    """Writes arrays, or no file for none; returns the checksum of the file."""
    if not arrays:
        path.unlink(missing_ok=True)
        return None
    content = pack_arrays(arrays)
    write_bytes(path, content)
    return _checksum(content)


def read_records(folder: pathlib.Path) -> list[Record]:
    """The records of a study, or of an evaluation's folder.

    Args:
        folder: Has `records.jsonl`, or `records/` as `evaluate.py --out` leaves it.

    Returns:
        None of a folder that has neither.

    Raises:
        UserError: if one is damaged.
    """
    path = folder / RECORDS
    if not path.is_file():
        return RecordStore(folder).read_all()
    lines = read_lines(path)
    arrays = _read_arrays(lines, folder / OUTCOMES)
    with damaged(path):
        stored, by_record = _of_kind("record", lines), _by_record(arrays)
        return [
            record_from_json(each, by_record.get(str(number), {}))
            for number, each in enumerate(stored)
        ]


def read_trainings(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The final records of runs in a study, or in files NAME.json of a folder.

    Raises:
        UserError: if one is damaged.
    """
    path = folder / RECORDS
    if path.is_file():
        with damaged(path):
            return _of_kind("training", read_lines(path))
    found = []
    for each in sorted(folder.glob("*.json")):
        training = read_object(each)
        with damaged(each):
            results_from_json(training)
        found.append(training)
    return found


def _read_arrays(lines: Sequence[dict[str, Any]], path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays beside lines; none where the lines name none."""
    wanted = [line[OUTCOMES] for line in lines if OUTCOMES in line]
    if not wanted:
        return {}
    arrays = read_arrays(path)
    with damaged(path):
        if _checksum(path.read_bytes()) != wanted[0]:
            raise ValueError(f"it is not of the records beside it, whose checksum is {wanted[0]}")
    return arrays


def _of_kind(kind: str, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects of one kind, with what they share back in them."""
    shared = {line["hash"]: line["content"] for line in lines if "hash" in line}
    found = [line[kind] for line in lines if kind in line]
    if any(line.get(f"{kind}s", len(found)) != len(found) for line in lines):
        raise ValueError(f"it has {len(found)} lines of a {kind}, not as many as it says")
    for each in found:
        owner = _owner(each)
        owner |= {name: shared[owner[name]] for name in _OF_RUNS}
        if (started := owner.pop(_MOMENT)) is not None:
            owner["environment"] = {_MOMENT: started, **owner["environment"]}
        for result in each["results"]:
            result |= {name: shared[result[name]] for name in _OF_RESULTS}
    return found


def _by_record(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, together in arrays.items():
        number, *names = name.split("|")
        found.setdefault(number, {}).update(zip(names, together, strict=True))
    return found
