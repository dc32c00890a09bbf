"""Evaluates trained runs: `python evaluate.py runs/capsnet_mnist runs/cnn_mnist`.

Restores a checkpoint of each run, runs suites on it and prints one table. With `--out=FOLDER` it
keeps a record of every suite, goes on where it was interrupted, and writes a report of all records
in the folder: `report.html`, `report.md` and figures. `python evaluate.py list` names the suites.
"""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from absl import flags
from tqdm import tqdm

import configs
from data.errors import UserError
from data.sources import Dataset, load_elsewhere
from evaluation import own_model, suites
from evaluation.comparison import tabulate
from evaluation.prediction import Predict
from evaluation.reports import write_report
from evaluation.reports.markdown import overview
from evaluation.reports.wording import name_table
from evaluation.store import Record, RecordStore
from training import environment, process
from training.checkpoints import checksum
from training.experiment import Experiment, to_json
from training.restoring import restore_run

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
    "model", [], "MODULE:FUNCTION that returns a model of your own; may be given several times."
)
_DATA = flags.DEFINE_string("data", "mnist", "Configuration whose dataset --model is asked about.")
_TEST_DATA = flags.DEFINE_string(
    "test_data", None, "Dataset whose test images are asked about, in place of each run's own."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.")


class Subject(NamedTuple):
    """A model to evaluate, and the facts for its records."""

    predict: Predict
    dataset: Dataset
    batch_size: int
    facts: dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Evaluates every run and model that the command line names."""
    process.set_up()
    workdirs = _parse(arguments)
    if workdirs == ["list"]:
        print(suites.describe())
        return
    chosen = _SUITES.value or suites.default_names()
    modules = {name: suites.load(name) for name in chosen}
    folder = pathlib.Path(_OUT.value) if _OUT.value else None
    store = RecordStore(folder) if folder else None
    records, datasets = [], {}
    total = (len(workdirs) + len(_MODELS.value)) * len(modules)
    with tqdm(total=total, unit="suite", desc="evaluate", disable=None) as bar:
        for subject in _subjects(workdirs):
            datasets[subject.dataset.name] = subject.dataset
            for name, module in modules.items():
                records.append(_evaluate(subject, name, module, store))
                bar.update()
    if folder and store:
        found = store.read_all()
        write_report(found, folder, examples=_examples(datasets, found))
        print(f"wrote {folder / 'report.html'}")
    for table in tabulate([record for record in records if record.results]):
        print(f"{name_table(table)}\n\n{overview(table)}")


def _parse(arguments: Sequence[str]) -> list[str]:
    try:
        workdirs = flags.FLAGS(arguments)[1:]
    except flags.Error as error:
        raise UserError(str(error).splitlines()[0]) from error
    if not workdirs and not _MODELS.value:
        raise UserError("name at least one run, as in: python evaluate.py runs/capsnet_mnist")
    if _LIMIT.value < 0:
        raise UserError(f"--limit={_LIMIT.value}: must be at least 0")
    accuracy = _MATCH_ACCURACY.value
    if accuracy is not None and not 0.0 <= accuracy <= 100.0:
        raise UserError(f"--match_accuracy={accuracy}: must be a percentage from 0 to 100")
    return workdirs


def _subjects(workdirs: Sequence[str]) -> Iterator[Subject]:
    for workdir in workdirs:
        yield _trained(workdir, workdirs)
    for name in _MODELS.value:
        yield _own(name)


def _trained(workdir: str, workdirs: Sequence[str]) -> Subject:
    accuracy = _MATCH_ACCURACY.value
    run = restore_run(
        workdir,
        checkpoint=_CHECKPOINT.value,
        match_accuracy=None if accuracy is None else accuracy / 100.0,
        data_dir=_DATA_DIR.value,
        configurations=configs.load,
    )
    names = [pathlib.Path(other).resolve().name for other in workdirs]
    path = pathlib.Path(workdir).resolve()
    unique = names.count(path.name) == 1
    experiment = run.setup.experiment
    return _subject(
        run.predictor,
        run.setup.dataset,
        run.setup.evaluation_batch_size,
        run=path.name if unique else f"{path.parent.name}_{path.name}",
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
    dataset, predict = experiment.dataset.load(_DATA_DIR.value), own_model.load(name)
    # What it says of some images stands in for its weights, which are not known.
    answers = own_model.check(name, predict, dataset)
    return _subject(
        predict,
        dataset,
        experiment.evaluation_batch_size,
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
            dataset = load_elsewhere(dataset, _TEST_DATA.value, _DATA_DIR.value)
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


def _evaluate(subject: Subject, name: str, module: Any, store: RecordStore | None) -> Record:
    """A suite's record: the one that is there already, or a new one."""
    facts = {**subject.facts, "suite": name}
    record = store.find(facts) if store else None
    if record is not None:
        return record
    start = time.perf_counter()
    results = suites.run(module, subject.predict, subject.dataset, batch_size=subject.batch_size)
    facts["seconds"] = round(time.perf_counter() - start, 1)
    tqdm.write(
        f"{facts['run']}: {name} "
        + (f"took {facts['seconds']:.1f} s" if results else "is not applicable")
    )
    return store.write(facts, results) if store else Record(facts, tuple(results))


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
    try:
        main(sys.argv)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; with --out, the same command goes on where it was")
