"""The records of an evaluation: one JSON file for each model, seed, checkpoint and suite.

    OUT/records/RUN/CHECKPOINT/SUITE.json   provenance and results, under a schema version
    OUT/records/RUN/CHECKPOINT/SUITE.npz    outcomes for every image, and artifacts

A record is found again by its provenance, so that an interrupted evaluation goes on where it was.
"""

import json
import pathlib
import re
from typing import Any

from common.errors import UserError
from common.files import write_bytes, write_text
from common.stored import damaged, read_arrays, read_object
from evaluation.results.earlier_schemas import SUITES
from evaluation.results.provenance import Checkpoint, Provenance
from evaluation.results.result import Record
from evaluation.results.schema import arrays_of, pack_arrays, record_from_json, record_to_json


class RecordStore:
    """The records below one folder.

    Args:
        folder: Made when the first record is written.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "records"

    def find(self, suite: str, provenance: Provenance) -> Record | None:
        """The finished record of a suite for the same model and images, if there is one."""
        earlier = [before for before, now in SUITES.items() if now == suite]
        for name in (suite, *earlier):
            path = self._path(name, provenance)
            if path.is_file():
                record = read_record(path)
                if record.suite == suite and record.provenance.is_of_same(provenance):
                    return record
        return None

    def write(self, record: Record) -> Record:
        """Writes a record whole or not at all."""
        path = self._path(record.suite, record.provenance)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path.with_suffix(".npz"), pack_arrays(arrays_of(record)))
        write_text(path, _one_result_a_line(record_to_json(record)))
        return record

    def add(self, record: Record) -> Record:
        """Writes a record in whose place there is none.

        Raises:
            UserError: if there is one: of a model, seed, checkpoint and suite there is one file.
        """
        path = self._path(record.suite, record.provenance)
        if path.exists():
            raise UserError(
                f"record {path} is there already, of other images or of another accuracy; choose "
                "another folder for one of the two"
            )
        return self.write(record)

    def read_all(self) -> list[Record]:
        """All records, in the order of their paths."""
        return [read_record(path) for path in sorted(self.folder.glob("*/*/*.json"))]

    def suites(self, run: str, checkpoint: Checkpoint) -> set[str]:
        """The suites that a run has records of at a checkpoint, on its own test images."""
        return {path.stem for path in self._folder(run, checkpoint).glob("*.json")}

    def _path(self, suite: str, provenance: Provenance) -> pathlib.Path:
        folder = self._folder(provenance.run, provenance.checkpoint, provenance.test_data)
        return folder / f"{_as_name(suite)}.json"

    def _folder(
        self, run: str, checkpoint: Checkpoint, test_data: str | None = None
    ) -> pathlib.Path:
        moment = str(checkpoint).replace(" % on validation", "")
        if test_data:
            moment += f" on {test_data.replace('/', ' ')}"
        return self.folder / _as_name(run) / _as_name(moment)


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


def read_record(path: pathlib.Path) -> Record:
    """The record in a file, of this schema or an earlier one, with the arrays beside it.

    Raises:
        UserError: if it is damaged.
    """
    try:
        with damaged(path):
            content = read_object(path)
            return record_from_json(content, read_arrays(path.with_suffix(".npz")))
    except UserError as error:
        raise UserError(f"record {path}: {error}; delete it to measure again") from error
