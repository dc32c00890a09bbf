"""Evaluates trained runs: `python evaluate.py runs/capsnet_mnist runs/cnn_mnist`.

Restores a checkpoint of each run, runs suites on it and prints one table; a folder of runs stands
for all of them. What cannot be measured is named, and the rest goes on. With `--out=FOLDER` it
keeps a record of every suite, goes on where it was interrupted, and writes a report of all records
in the folder: `report.html`, `report.md` and figures. `python evaluate.py list` names the suites.
"""

import sys

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h", "list", stream=sys.stderr)

import contextlib
import dataclasses
import difflib
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from absl import flags
from tqdm import tqdm

import configs
from common.errors import UserError, first_line, printable
from common.files import expand, writable_folder
from data.dataset import Dataset
from data.sources.load import load_elsewhere
from evaluation import custom_model, suites
from evaluation.comparison.tables import tabulate
from evaluation.model import Predict
from evaluation.reports import write_report
from evaluation.reports.formatting import name_table
from evaluation.reports.markdown import overview
from evaluation.results.store import Record, RecordStore
from inference.restore import restore_run
from training import process
from training.experiment import Experiment, to_json
from training.run import environment
from training.run.checkpoints import checksum
from training.run.finding import find_runs, name_runs

_SUITES = flags.DEFINE_list(
    "suites", [], "Suites to run, separated by commas; all but expensive ones by default."
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "last", ["last", "best"], "The last step, or the best on validation."
)
_MATCH_ACCURACY = flags.DEFINE_float(
    "match_accuracy", None, "Take each run's first checkpoint with this validation accuracy, in %."
)
_LIMIT = flags.DEFINE_integer("limit", 0, "Test images to score, drawn at random; 0 for all.")
_OUT = flags.DEFINE_string("out", None, "Folder that gets the records and the report.")
_MODELS = flags.DEFINE_multi_string(
    "model", [], "MODULE:FUNCTION that returns a custom model; may be given several times."
)
_DATA = flags.DEFINE_string("data", "mnist", "Configuration whose dataset --model is asked about.")
_TEST_DATA = flags.DEFINE_string(
    "test_data", None, "Dataset whose test images are asked about, in place of each run's own."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.")
_FLAGS = (
    *(_SUITES, _CHECKPOINT, _MATCH_ACCURACY, _LIMIT, _OUT),
    *(_MODELS, _DATA, _TEST_DATA, _DATA_DIR),
)
# What a machine may lack, which is no mistake of a suite.
_SHORTAGES = (MemoryError, OSError, jax.errors.JaxRuntimeError)


class Subject(NamedTuple):
    """A model to evaluate, and the facts for its records."""

    predict: Predict
    dataset: Dataset
    batch_size: int
    facts: dict[str, Any]


class _Failures:
    """What could not be done, which ends in an error once all else is done."""

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
            _say(f"failed: {self.messages[-1]}")

    def end(self) -> None:
        """Raises a `UserError` that names the first one and counts the others."""
        if self.messages:
            others = f"; and {len(self.messages) - 1} more, above" if self.messages[1:] else ""
            raise UserError(f"{self.messages[0]}{others}")


def main(arguments: Sequence[str]) -> None:
    """Evaluates every run and model that the command line names."""
    process.set_up()
    words = _parse(arguments)
    if words == ["list"]:
        print(suites.describe())
        return
    modules = {name: suites.load(name) for name in _chosen_suites()}
    workdirs = find_runs(words)
    folder = writable_folder(_OUT.value, "--out") if _OUT.value is not None else None
    store = RecordStore(folder) if folder else None
    if store:
        store.read_all()  # a damaged one would be in the way of the report
    records, datasets, failures = [], {}, _Failures()
    total = (len(workdirs) + len(_models())) * len(modules)
    with tqdm(total=total, unit="suite", desc="evaluate", disable=None) as bar:
        for make in _subjects(workdirs):
            with failures.collect(""):
                subject = make()
                datasets[subject.dataset.name] = subject.dataset
                for name, module in modules.items():
                    with failures.collect(f"{subject.facts['run']}: {name}"):
                        records.append(_evaluate(subject, name, module, store, failures))
                    bar.update()
    for table in tabulate([record for record in records if record.results]):
        print(f"{printable(name_table(table))}\n\n{overview(table)}")
    if folder and store:
        with failures.collect(f"--out={folder}: the report"):
            found = store.read_all()
            write_report(found, folder, examples=_examples(datasets, found))
            print(f"wrote {folder / 'report.html'}")
    failures.end()


def _say(text: str) -> None:
    """Prints a line above the progress bar, where tables are not."""
    tqdm.write(text, file=sys.stderr)


def _parse(arguments: Sequence[str]) -> list[str]:
    if any(word.lstrip("-") in ("h", "help", "helpfull", "helpshort") for word in arguments[1:]):
        print(_help())
        sys.exit(0)
    try:
        words = flags.FLAGS(arguments)[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown_flag(error.flagname)) from error
    except flags.Error as error:
        raise UserError(first_line(error)) from error
    if not words and not _MODELS.value:
        raise UserError("name at least one run, as in: python evaluate.py runs/capsnet_mnist")
    if _LIMIT.value < 0:
        raise UserError(f"--limit={_LIMIT.value}: must be at least 0")
    accuracy = _MATCH_ACCURACY.value
    if accuracy is not None and not 0.0 <= accuracy <= 100.0:
        raise UserError(f"--match_accuracy={accuracy}: must be a percentage from 0 to 100")
    return words


def _help() -> str:
    lines = [
        f"  --{each.name}={each.default}\n      {flags.FLAGS[each.name].help}" for each in _FLAGS
    ]
    return "\n".join([(__doc__ or "").strip(), "", "Flags, with their defaults:", *lines])


def _unknown_flag(name: str) -> str:
    names = [each.name for each in _FLAGS]
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean --{near[0]}? There" if near else "there"
    return f"--{name}: there is no such flag; {meant} are --{', --'.join(names)}"


def _chosen_suites() -> list[str]:
    """Each named suite once, or the default ones."""
    names = [name.strip() for name in _SUITES.value]
    if flags.FLAGS["suites"].present and not any(names):
        raise UserError("--suites is empty; name some, or leave it out for the usual ones")
    return list(dict.fromkeys(names)) or suites.default_names()


def _models() -> list[str]:
    return list(dict.fromkeys(_MODELS.value))


def _subjects(workdirs: Sequence[pathlib.Path]) -> Iterator[Callable[[], Subject]]:
    """What makes each subject, for one that cannot be made is no reason to leave the others."""
    for path, name in zip(workdirs, name_runs(workdirs), strict=True):
        yield functools.partial(_trained, path, name)
    for name in _models():
        yield functools.partial(_own, name)


def _data_dir() -> str | None:
    return None if _DATA_DIR.value is None else str(expand(_DATA_DIR.value, "--data_dir"))


def _trained(workdir: pathlib.Path, name: str) -> Subject:
    accuracy = _MATCH_ACCURACY.value
    _say(f"{name}: reading its images and its checkpoint")
    run = restore_run(
        workdir,
        checkpoint=_CHECKPOINT.value,
        match_accuracy=None if accuracy is None else accuracy / 100.0,
        data_dir=_data_dir(),
        configurations=configs.load,
    )
    experiment = run.setup.experiment
    return _subject(
        run.predictor,
        run.setup.dataset,
        run.setup.evaluation_batch_size,
        run=name,
        name=run.name,
        model=configs.describe(run.name, experiment),
        seed=experiment.seed,
        checkpoint=_CHECKPOINT.value if accuracy is None else f"{accuracy:.2f} % on validation",
        step=run.step,
        weights=run.weights,
        parameters=run.state.num_parameters,
        experiment=to_json(experiment),
        train_images=_train_images(experiment, run.setup.dataset),
    )


def _train_images(experiment: Experiment, dataset: Dataset) -> int | None:
    """How many images a run learnt from; None if they were painted and never repeated."""
    asked = getattr(experiment.dataset, "train_images", 0)
    return asked or (len(dataset.train) if dataset.generator is None else None)


def _own(name: str) -> Subject:
    experiment = configs.load(_DATA.value)
    predict = custom_model.load(name)
    _say(f"--model={name}: reading the images of {_DATA.value}")
    dataset = experiment.dataset.load(_data_dir())
    predict = custom_model.guard(name, predict, dataset)
    size = experiment.evaluation_batch_size
    # What it says of some images stands in for its weights, which are not known.
    answers = custom_model.check(name, predict, dataset, batch_size=size)
    return _subject(
        predict,
        dataset,
        size,
        run=name.replace(":", "_"),
        name=name,
        model=name,
        seed=None,
        checkpoint="last",
        step=None,
        weights=f"{checksum(answers):08x}",
        parameters=None,
        experiment=None,
        train_images=None,
    )


def _subject(predict: Predict, dataset: Dataset, batch_size: int, **facts: Any) -> Subject:
    if _TEST_DATA.value:
        try:
            dataset = load_elsewhere(dataset, _TEST_DATA.value, _data_dir())
        except UserError as error:
            raise UserError(f"--test_data={_TEST_DATA.value}: {error}") from error
    if _LIMIT.value:
        dataset = dataclasses.replace(dataset, test=dataset.test.sample(_LIMIT.value))
    facts |= {
        "dataset": dataset.name,
        "test_data": _TEST_DATA.value,
        "data": dataset.test.checksum,
        "limit": _LIMIT.value,
        "environment": environment.describe(),
    }
    return Subject(predict, dataset, batch_size, facts)


def _evaluate(
    subject: Subject, name: str, module: Any, store: RecordStore | None, failures: _Failures
) -> Record:
    """A suite's record: the one that is there already, or a new one, if only in memory."""
    facts = {**subject.facts, "suite": name}
    record = store.find(facts) if store else None
    if record is not None:
        return record
    _say(f"{facts['run']}: {name}, compiling what is new to it")
    start = time.perf_counter()
    try:
        results = suites.run(
            module, subject.predict, subject.dataset, batch_size=subject.batch_size
        )
        outcome = f"took {time.perf_counter() - start:.1f} s"
    except suites.NotApplicable as reason:
        results, outcome = [], f"is not applicable: {reason}"
    facts["seconds"] = round(time.perf_counter() - start, 1)
    tqdm.write(f"{facts['run']}: {name} {outcome}")
    if store:
        with failures.collect(f"{facts['run']}: the record of {name}"):
            return store.write(facts, results)
    return Record(facts, tuple(results))


def _examples(
    datasets: dict[str, Dataset], records: Sequence[Record]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Pictures of what the suites that were measured do to some test images, by dataset."""
    shown: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in datasets}
    measured = {(r.facts["dataset"], r.facts["suite"]) for r in records if r.results}
    # The folder may have records of a suite that is no longer there.
    there = {(name, suite) for name in datasets for suite in suites.names()}
    for name, suite in sorted(measured & there):
        if images := suites.examples(suite, datasets[name]):
            shown[name][suite] = images
    return shown


if __name__ == "__main__":
    commands.run(main, stopped="stopped; with --out, the same command goes on where it was")
