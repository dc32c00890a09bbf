"""Work on a study: trainings and evaluations that are missing, cell by cell, and its page."""

import dataclasses
import functools
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tqdm import tqdm

from common.errors import NonFiniteError
from common.files import write_text
from evaluation.comparison.evidence import find_evidence
from evaluation.comparison.study import (
    Study,
    is_stated,
    read_arms,
    state,
    write_arms,
    write_diverged,
)
from evaluation.reports import write_report
from evaluation.reports.study import page
from evaluation.runner import Failures, Subject, measure, say
from inference.matching import NotReachedError
from inference.studies.arms import describe_arms
from inference.studies.cells import WHOLE, Cell, Shard, StudyFolder, cells_of
from inference.subjects import of_run
from training import loop
from training.experiment import Experiment
from training.run.directory import Configurations


class Left(NamedTuple):
    """Rest of a study.

    Attributes:
        cells: To train, or to evaluate, in order.
        by_arm: Minutes that this takes: as long as an arm's finished cells took here on average,
            or else as the study says, less what was spent on a cell already.
        of: All cells.
    """

    cells: list[Cell]
    by_arm: dict[str, float]
    of: int

    @property
    def minutes(self) -> float:
        """Minutes of all arms together."""
        return sum(self.by_arm.values(), 0.0)

    def __str__(self) -> str:
        return f"{len(self.cells)} of {self.of} trainings left, about {self.minutes:.0f} minutes"


@dataclasses.dataclass(frozen=True)
class Work:
    """A study and where it is carried out.

    Attributes:
        study: What is asked.
        folder: Of the study.
        configurations: From a name to its experiment.
        data_dir: See `data.sources.load.load`.
        shard: The part that is done here.
    """

    study: Study
    folder: StudyFolder
    configurations: Configurations
    data_dir: str | None = None
    shard: Shard = WHOLE

    def left(self) -> Left:
        """Finds what is not done yet."""
        undone = {cell for cell in cells_of(self.study) if not self._is_done(cell)}
        cells = cells_of(self.study, self.shard)
        pending = [cell for cell in cells if cell in undone]
        spent = {cell: self.folder.seconds(cell) / 60.0 for cell in cells_of(self.study)}
        by_arm = {}
        for arm, stated in self.study.minutes.items():
            known = [
                spent[cell] for cell in spent.keys() - undone if cell.arm == arm and spent[cell]
            ]
            whole = statistics.fmean(known) if known else stated
            by_arm[arm] = sum(max(0.0, whole - spent[cell]) for cell in pending if cell.arm == arm)
        return Left(pending, by_arm, len(cells))

    def plan(self) -> Iterator[dict[str, str]]:
        """Describes every arm, and what is left of it, a line each.

        Raises:
            UserError: if the folder is another study's.
        """
        is_stated(self.study, self.folder.path)
        described = {line["arm"]: line for line in self._read_arms() or self._describe()}
        left = self.left()
        pending = Counter(cell.arm for cell in left.cells)
        cells = Counter(cell.arm for cell in cells_of(self.study, self.shard))
        for arm in self.study.arms:
            yield {
                **described[arm],
                "done": f"{cells[arm] - pending[arm]}",
                "left": f"{pending[arm]}",
                "minutes left": f"{math.ceil(left.by_arm[arm])}",
            }

    def carry_out(self) -> None:
        """Trains and evaluates what is missing, and writes the page.

        Raises:
            UserError: if the folder is another study's, or once all else is done for what failed.
            Interrupted: if a signal asked for a stop; everything up to there is kept.
        """
        if not is_stated(self.study, self.folder.path):
            state(self.study, self.folder.path)
            self.folder.forget_failures()
        self._keep_arms()
        failures = Failures()
        left = self.left()
        with tqdm(total=left.of, initial=left.of - len(left.cells), unit="cell") as bar:
            bar.set_description("study")
            for cell in left.cells:
                with failures.collect(cell.name), self.folder.timed(cell):
                    self._train(cell)
                    self._evaluate(cell, failures)
                bar.update()
        self.write_page()
        failures.end()

    def write_page(self) -> None:
        """Writes the study's page and its report, of the records that are there."""
        records = self.folder.store.read_all()
        found = {cell.name: self.folder.failure(cell) for cell in cells_of(self.study)}
        reasons = {name: reason for name, reason in found.items() if reason is not None}
        write_diverged(reasons, self.folder.path)
        if records:
            evidence = find_evidence(self.study, records, reasons)
            compared = {"stated": evidence.stated, "title": self.study.question}
            write_report(evidence.records, self.folder.path, examples={}, **compared)
            write_text(self.folder.path / "README.md", page(self.folder.path))

    def _keep_arms(self) -> None:
        """Keeps a description of the arms; made once, for it compiles every network."""
        if not self._read_arms():
            write_arms(self._describe(), self.folder.path)

    def _read_arms(self) -> list[dict[str, str]]:
        """The description that is there, if it is of these arms; else nothing."""
        lines = read_arms(self.folder.path)
        return lines if [line.get("arm") for line in lines] == list(self.study.arms) else []

    def _describe(self) -> list[dict[str, str]]:
        say("describing the arms: size, compute, receptive field")
        return list(describe_arms(self.study, self.configurations, self.data_dir))

    def _is_done(self, cell: Cell) -> bool:
        """True if nothing is left to do; records say so without their training's folder."""
        return self.folder.failure(cell) is not None or not self._suites_left(cell)

    def _suites_left(self, cell: Cell) -> list[str]:
        return self.folder.suites_left(cell, self.study)

    def _experiment(self, cell: Cell) -> Experiment:
        experiment = self.configurations(self.study.arms[cell.arm])
        return dataclasses.replace(experiment, seed=cell.seed)

    def _train(self, cell: Cell) -> None:
        if self.folder.is_trained(cell):
            return
        folder = str(self.folder.training(cell))
        name = self.study.arms[cell.arm]
        try:
            loop.run(self._experiment(cell), name=name, workdir=folder, data_dir=self.data_dir)
        except NonFiniteError as error:
            self.folder.mark_failed(cell, str(error))
            raise

    def _evaluate(self, cell: Cell, failures: Failures) -> None:
        make = functools.partial(self._subject, cell)
        suites = self._suites_left(cell)
        found = measure([make], suites, out=self.folder.path, report=False)
        failures.messages += found.failures.messages

    def _subject(self, cell: Cell) -> Subject:
        try:
            return of_run(
                self.folder.training(cell),
                cell.name,
                checkpoint="last",
                match_accuracy=self.study.match_accuracy,
                data_dir=self.data_dir,
                configurations=self.configurations,
                describe=lambda name, experiment: cell.arm,
            )
        except NotReachedError as error:
            self.folder.mark_failed(cell, str(error))
            raise
