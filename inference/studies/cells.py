"""Cells of a study: an arm and a seed each, and what is done of them in the study's folder.

    FOLDER/trainings/ARM_seedN    a run's folder
    FOLDER/failed/ARM_seedN.json  why a training could not be finished or compared
    FOLDER/times/ARM_seedN.json   the seconds that were spent on it here
    FOLDER/records/               see `evaluation.results.store`
    FOLDER/study.json, arms.json, diverged.json  see `evaluation.comparison.study`

Cells share no file, so that folders of several machines are put together by copying.
"""

import contextlib
import dataclasses
import pathlib
import re
import shutil
import time
from collections.abc import Iterator
from typing import NamedTuple

from common.errors import UserError
from common.files import write_json
from common.stored import Number, check_fields, check_numbers, damaged, read_object
from evaluation.comparison.study import Study, read_diverged
from evaluation.results.store import RecordStore
from training.run.directory import RunDirectory


class Cell(NamedTuple):
    """A training of a study.

    Attributes:
        arm: Its name.
        seed: Of the training.
    """

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Names the training's folder."""
        return f"{self.arm}_seed{self.seed}"


class Shard(NamedTuple):
    """A part of a study's cells.

    Attributes:
        number: From 1 on.
        parts: In all.
    """

    number: int
    parts: int


WHOLE = Shard(1, 1)
"""All cells."""


def parse_shard(text: str) -> Shard:
    """Parses "2/4" as the second of four parts.

    Raises:
        UserError: if it is no such part.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    shard = Shard(*map(int, found.groups())) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.parts:
        raise UserError(f"--shard={text}: write K/N for part K of N, as in 2/4")
    return shard


def cells_of(study: Study, shard: Shard = WHOLE) -> list[Cell]:
    """Lists a study's cells, seed by seed, so that all arms get equally far.

    Raises:
        UserError: if there are more parts than cells.
    """
    cells = [Cell(arm, seed) for seed in study.seeds for arm in study.arms]
    if shard.parts > len(cells):
        raise UserError(
            f"--shard={shard.number}/{shard.parts}: there are {len(cells)} trainings; ask for at "
            "most as many parts"
        )
    return cells[shard.number - 1 :: shard.parts]


@dataclasses.dataclass(frozen=True)
class StudyFolder:
    """The folder of a study.

    Attributes:
        path: The folder.
    """

    path: pathlib.Path

    @property
    def store(self) -> RecordStore:
        """The records."""
        return RecordStore(self.path)

    def training(self, cell: Cell) -> pathlib.Path:
        """The folder of a cell's run."""
        return self.path / "trainings" / cell.name

    def is_trained(self, cell: Cell) -> bool:
        """True if the training has come to its end."""
        return RunDirectory(self.training(cell)).read_record() is not None

    def seconds(self, cell: Cell) -> float:
        """Seconds that were spent on a cell here, whenever that was; 0 where nothing is known.

        Raises:
            UserError: if the file that says so is damaged.
        """
        path = self._time(cell)
        if not path.is_file():
            return 0.0
        stored = read_object(path)
        with damaged(path):
            check_fields(stored, {"seconds": Number})
            check_numbers([stored["seconds"]], "seconds")
        return float(stored["seconds"])

    @contextlib.contextmanager
    def timed(self, cell: Cell) -> Iterator[None]:
        """Adds the time within to that of a cell, also where it ends in an error."""
        before, start = self.seconds(cell), time.perf_counter()
        try:
            yield
        finally:
            path = self._time(cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"seconds": before + time.perf_counter() - start})

    def suites_left(self, cell: Cell, study: Study) -> list[str]:
        """The suites whose record, at the moment that a study asks for, is missing."""
        there = self.store.suites(cell.name, study.checkpoint)
        return [name for name in study.suites if name not in there]

    def mark_failed(self, cell: Cell, reason: str) -> None:
        """Keeps the reason why a training could not be finished or compared."""
        path = self._failed(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"reason": reason})

    def failure(self, cell: Cell) -> str | None:
        """The reason why a training could not be finished or compared; None if there is none.

        A folder that was put together from a study's records has the reasons in one file.

        Raises:
            UserError: if a file that says so is damaged.
        """
        path = self._failed(cell)
        if not path.is_file():
            return read_diverged(self.path).get(cell.name)
        stored = read_object(path)
        with damaged(path):
            check_fields(stored, {"reason": str})
        return stored["reason"]

    def forget_failures(self) -> None:
        """Forgets the reasons, for what could not be compared by one statement can by another."""
        shutil.rmtree(self.path / "failed", ignore_errors=True)

    def _time(self, cell: Cell) -> pathlib.Path:
        return self.path / "times" / f"{cell.name}.json"

    def _failed(self, cell: Cell) -> pathlib.Path:
        return self.path / "failed" / f"{cell.name}.json"
