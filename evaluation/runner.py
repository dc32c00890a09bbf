"""Suites over models: one record each, measured or found again, and what could not be done."""

import contextlib
import dataclasses
import functools
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from common.errors import UserError, first_line
from data.dataset import Dataset
from evaluation import suites
from evaluation.comparison.tables import Stated
from evaluation.duration import estimate
from evaluation.model import Predict, Predictor, as_predictor, predict_all
from evaluation.modules import of_module
from evaluation.results.provenance import Provenance, checksum, describe
from evaluation.results.result import Record
from evaluation.results.store import RecordStore

BATCH_SIZE = 250
# What a machine may lack, which is no mistake of a suite.
_SHORTAGES = (MemoryError, OSError, jax.errors.JaxRuntimeError)


class Subject(NamedTuple):
    """A model to evaluate, and the provenance of its results.

    Attributes:
        model: As suites see it.
        dataset: Its test images are scored; suites may look at the others for thresholds.
        batch_size: Images per call.
        provenance: Of its results.
    """

    model: Predictor
    dataset: Dataset
    batch_size: int
    provenance: Provenance

    def on(self, dataset: Dataset, **known: Any) -> "Subject":
        """The same model on the test images of a dataset.

        Args:
            dataset: Whose test images are scored.
            known: Further fields of the provenance.
        """
        known = {"dataset": dataset.name, "data": dataset.test.checksum, **known}
        return self._replace(dataset=dataset).known_as(**known)

    def known_as(self, **known: Any) -> "Subject":
        """The same model with other fields of its provenance."""
        return self._replace(provenance=dataclasses.replace(self.provenance, **known))


@functools.singledispatch
def subject_of(model: Any, dataset: Dataset | None, name: str) -> Subject:
    """A model, of whatever kind, with what is known of it.

    Args:
        model: A function of images to logits, a `Predictor`, or an NNX module; `inference` adds
            its runs and their folders.
        dataset: Whose test images are scored; None for those of a run.
        name: For records and tables.

    Raises:
        UserError: if it is none of these, or there is no dataset.
    """
    if not callable(model):
        raise UserError(
            f"{name}={model!r:.80}: must be a function of images, a Predictor, an NNX module, or, "
            "once inference is imported, a run or its folder"
        )
    dataset = _given(dataset, name)
    predictor = as_predictor(cast(Predict, model))
    # Its predictions for some images stand in for its weights, which are not known.
    logits = predict_all(predictor, dataset.test.images[:2], batch_size=BATCH_SIZE, name=name)
    return new_subject(predictor, dataset, name, weights=f"{checksum(logits):08x}")


@subject_of.register
def _(model: nnx.Module, dataset: Dataset | None, name: str) -> Subject:
    dataset = _given(dataset, name)
    parameters = nnx.state(model, nnx.Param)
    return new_subject(
        of_module(model, dataset.image_shape),
        dataset,
        name,
        weights=f"{checksum(parameters):08x}",
        parameters=sum(leaf.size for leaf in jax.tree.leaves(parameters)),
    )


def _given(dataset: Dataset | None, name: str) -> Dataset:
    if dataset is None:
        raise UserError(f"dataset=None: {name} comes without one; name whose test images to score")
    return dataset


def new_subject(
    predictor: Predictor,
    dataset: Dataset,
    name: str,
    *,
    weights: str,
    batch_size: int = BATCH_SIZE,
    **known: Any,
) -> Subject:
    """A model on the test images of a dataset.

    Args:
        predictor: The model.
        dataset: The images.
        name: For records and tables.
        weights: A checksum.
        batch_size: Images per call.
        known: Further fields of the provenance.
    """
    provenance = Provenance(
        run=name.replace(":", "_"),
        name=name,
        model=name,
        dataset=dataset.name,
        data=dataset.test.checksum,
        weights=weights,
        environment=describe(),
    )
    return Subject(predictor, dataset, batch_size, provenance).known_as(**known)


def group(
    models: Mapping[str, Any], dataset: Dataset | None
) -> list[tuple[str, Callable[[], Subject]]]:
    """Makers of several models, in groups that differ in their seed alone.

    Args:
        models: By name; several trainings of one as a sequence, whose seeds are counted from 0
            where they are not known.
        dataset: See `subject_of`.
    """
    makers = []
    for name, given in models.items():
        trainings = list(given) if isinstance(given, list | tuple) else [given]
        if not trainings:
            raise UserError(f"{name}=[]: has no training")
        for number, training in enumerate(trainings):
            seed = number if len(trainings) > 1 else None
            run = name if seed is None else f"{name}_seed{seed}"
            makers.append((run, functools.partial(_member, training, dataset, name, run, seed)))
    return makers


def _member(model: Any, dataset: Dataset | None, name: str, run: str, seed: int | None) -> Subject:
    subject = subject_of(model, dataset, name)
    known = subject.provenance.seed
    return subject.known_as(model=name, run=run, seed=seed if known is None else known)


class Failures:
    """Collection of what could not be done, which ends in an error once all else is done."""

    def __init__(self):
        self.messages: list[str] = []

    @contextlib.contextmanager
    def collect(self, what: str) -> Iterator[None]:
        """Goes on where a user's mistake or a shortage would end the command.

        Args:
            what: Is being done; empty where the error says so.
        """
        try:
            yield
        except (UserError, *_SHORTAGES) as error:
            reason = str(error) if isinstance(error, UserError) else first_line(error)
            self.messages.append(": ".join(filter(None, (what, reason))))
            say(f"failed: {self.messages[-1]}")

    def end(self) -> None:
        """Raises a `UserError` that names the first one and counts the others."""
        if self.messages:
            others = f"; and {len(self.messages) - 1} more, above" if self.messages[1:] else ""
            raise UserError(f"{self.messages[0]}{others}")


class Measured(NamedTuple):
    """Records of models, and what came with them.

    Attributes:
        records: Of every model and suite, those of suites that do not apply without results.
        datasets: By name.
        failures: What could not be done.
        report: The page that was written; None if none was.
    """

    records: list[Record]
    datasets: dict[str, Dataset]
    failures: Failures
    report: pathlib.Path | None = None


def say(text: str) -> None:
    """Prints a line above the progress bar, where tables are not."""
    tqdm.write(text, file=sys.stderr)


def measure(
    makers: Sequence[Callable[[], Subject]],
    names: Sequence[str],
    *,
    out: pathlib.Path | None = None,
    stated: Stated | None = None,
    report: bool = True,
) -> Measured:
    """Runs suites over models, one model in memory at a time.

    One that cannot be made, or a suite that fails, is no reason to leave the others.

    Args:
        makers: Of the models.
        names: Of the suites.
        out: Keeps a record of each, which answers the same request later, and a report of all
            records that are there.
        stated: What the report compares, see `evaluation.reports.write_report`.
        report: Writes it.

    Raises:
        UserError: if there is no such suite, or a record in `out` is damaged.
    """
    modules = {suites.current(name): suites.load(name) for name in names}
    store = None if out is None else RecordStore(out)
    if store:
        store.read_all()  # a damaged one would be in the way of the report
    found = Measured([], {}, Failures())
    total = len(makers) * len(modules)
    with tqdm(total=total, unit="suite", desc="evaluate", disable=None) as bar:
        for make in makers:
            with found.failures.collect(""):
                subject = make()
                found.datasets[subject.dataset.name] = subject.dataset
                if make is makers[0]:
                    _announce(subject, modules, store, len(makers))
                for name, module in modules.items():
                    with found.failures.collect(f"{subject.provenance.run}: {name}"):
                        record = _measure(subject, name, module, store, found.failures)
                        found.records.append(record)
                    bar.update()
    if out is not None and store and report:
        with found.failures.collect(f"--out={out}: the report"):
            # Importing matplotlib takes half a second, which most commands can do without.
            from evaluation.reports import write_report

            there = _in_order(store.read_all(), found.records)
            examples = _examples(found.datasets, there)
            write_report(there, out, examples=examples, stated=stated)
            return found._replace(report=out / "report.html")
    return found


def _in_order(there: Sequence[Record], asked: Sequence[Record]) -> list[Record]:
    """Records with the models that were asked for first, for the second of two is the control."""
    models = list(dict.fromkeys(record.provenance.model for record in asked))
    places = {name: place for place, name in enumerate(models)}
    return sorted(there, key=lambda record: places.get(record.provenance.model, len(models)))


def _announce(
    subject: Subject, modules: Mapping[str, Any], store: RecordStore | None, models: int
) -> None:
    """Says about how long all that is not there yet takes."""
    known, (model, dataset, batch_size, _) = subject.provenance, subject
    pending = [each for name, each in modules.items() if not (store and store.find(name, known))]
    if pending and len(dataset.test):
        say(estimate(pending, model, dataset, batch_size=batch_size, models=models))


def _measure(
    subject: Subject, name: str, module: Any, store: RecordStore | None, failures: Failures
) -> Record:
    """A suite's record: the one that is there already, or a new one, if only in memory."""
    run = subject.provenance.run
    record = store.find(name, subject.provenance) if store else None
    if record is not None:
        return record
    say(f"{run}: {name}, compiling what is new to it")
    start = time.perf_counter()
    try:
        results = suites.run(module, subject.model, subject.dataset, batch_size=subject.batch_size)
        outcome = f"took {time.perf_counter() - start:.1f} s"
    except suites.NotApplicable as reason:
        results, outcome = [], f"is not applicable: {reason}"
    seconds = round(time.perf_counter() - start, 1)
    tqdm.write(f"{run}: {name} {outcome}")
    record = Record(name, subject.provenance, tuple(results), seconds)
    if store:
        with failures.collect(f"{run}: the record of {name}"):
            store.write(record)
    return record


def _examples(
    datasets: dict[str, Dataset], records: Sequence[Record]
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Pictures of what the suites that were measured do to some test images, by dataset."""
    shown: dict[str, dict[str, dict[str, np.ndarray]]] = {name: {} for name in datasets}
    measured = {(record.provenance.dataset, record.suite) for record in records if record.results}
    # The folder may have records of a suite that is no longer there.
    there = {(name, suite) for name in datasets for suite in suites.names()}
    for name, suite in sorted(measured & there):
        if images := suites.examples(suite, datasets[name]):
            shown[name][suite] = images
    return shown
