"""Runs and custom models as subjects of an evaluation."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence

from common.errors import UserError
from data.dataset import Dataset
from data.sources.elsewhere import load_elsewhere
from evaluation import custom_model
from evaluation.results.provenance import Checkpoint, checksum
from evaluation.runner import Subject, new_subject, say, subject_of
from inference.restore import RestoredRun, restore_run
from training.experiment import Experiment, to_json
from training.run.directory import Configurations, RunDirectory

Describe = Callable[[str, Experiment], str]
"""Function of a configuration's name and an experiment: what runs of other seeds share."""


@subject_of.register
def _(run: RestoredRun, dataset: Dataset | None, name: str) -> Subject:
    experiment = run.setup.experiment
    own = run.setup.dataset
    subject = new_subject(
        run.predictor,
        own,
        name,
        weights=run.weights,
        batch_size=run.setup.evaluation_batch_size,
        run=name,
        model=run.name,
        seed=experiment.seed,
        step=run.step,
        checkpoint=Checkpoint("last" if run.step >= experiment.steps else "unfinished"),
        matching=run.matching,
        parameters=run.state.num_parameters,
        experiment=to_json(experiment),
        train_images=train_images(experiment, own),
    ).known_as(name=run.name)
    return subject if dataset is None else subject.on(dataset, test_data=dataset.name)


@subject_of.register(str)
@subject_of.register(pathlib.Path)
def _(folder: str | pathlib.Path, dataset: Dataset | None, name: str) -> Subject:
    return subject_of(restore_run(folder), dataset, name)


def train_images(experiment: Experiment, dataset: Dataset) -> int | None:
    """Number of images that a run learnt from; None if they were rendered and never repeated."""
    asked = getattr(experiment.dataset, "train_images", 0)
    return asked or (len(dataset.train) if dataset.generator is None else None)


def of_run(
    folder: pathlib.Path,
    name: str,
    *,
    checkpoint: str,
    match_accuracy: float | None,
    data_dir: str | None,
    configurations: Configurations,
    describe: Describe,
) -> Subject:
    """A run at one of its checkpoints.

    Args:
        folder: Of the run.
        name: For records.
        checkpoint: See `inference.restore.restore_run`, as for the others.
        match_accuracy: See there.
        data_dir: See there.
        configurations: See there.
        describe: What the run's model is called in tables.

    Raises:
        UserError: as `restore_run`.
    """
    say(f"{name}: reading its images and its checkpoint")
    run = restore_run(
        folder,
        checkpoint=checkpoint,
        match_accuracy=match_accuracy,
        data_dir=data_dir,
        configurations=configurations,
    )
    model = describe(run.name, run.setup.experiment)
    subject = subject_of(run, None, name).known_as(model=model)
    if match_accuracy is not None:
        say(f"{name}: at matched accuracy, {run.matching}")
        return subject.known_as(checkpoint=Checkpoint.matched(match_accuracy))
    if checkpoint == "best":
        return subject.known_as(checkpoint=Checkpoint("best"))
    if run.step < run.setup.experiment.steps:
        say(f"{name}: at step {run.step:,} of {run.setup.experiment.steps:,}, as its tables say")
    return subject


def check_control(
    control: str | None,
    folders: Iterable[pathlib.Path],
    others: Sequence[str],
    describe: Describe,
    configurations: Configurations,
) -> None:
    """Checks that a control is one of the models, before any is restored.

    Args:
        control: Its name in tables; None for none.
        folders: Of the runs. Where one cannot be read nothing is checked, for it may be the one.
        others: Names of the other models.
        describe: See `of_run`.
        configurations: See there.

    Raises:
        UserError: if it is none of them.
    """
    if control is None:
        return
    try:
        runs = [describe(*RunDirectory(folder).load(configurations)) for folder in folders]
    except UserError:
        return
    names = dict.fromkeys([*runs, *others])
    if control not in names:
        raise UserError(f"--control={control}: is none of the models {', '.join(names)}")


def of_custom_model(
    name: str, data: str, *, data_dir: str | None, configurations: Configurations
) -> Subject:
    """A custom model, to be evaluated on the images of a configuration.

    Args:
        name: MODULE:FUNCTION.
        data: Name of the configuration.
        data_dir: Of prepared data; None for the usual one.
        configurations: From the name to its experiment.

    Raises:
        UserError: if the model or the images cannot be had, or do not fit together.
    """
    experiment = configurations(data)
    model = custom_model.load(name)
    say(f"--model={name}: reading the images of {data}")
    dataset = experiment.dataset.load(data_dir)
    size = experiment.evaluation_batch_size
    logits = custom_model.check(name, model, dataset, batch_size=size)
    guarded = custom_model.guard(name, model, dataset)
    # Its predictions for some images stand in for its weights, which are not known.
    weights = f"{checksum(logits):08x}"
    return new_subject(guarded, dataset, name, weights=weights, batch_size=size)


def elsewhere(subject: Subject, test_data: str | None, limit: int, data_dir: str | None) -> Subject:
    """A subject on other test images, or on fewer of them.

    Args:
        subject: The model on its own test images.
        test_data: Name of another dataset; None for the same.
        limit: So many of the test images, drawn at random; 0 for all.
        data_dir: Of prepared data; None for the usual one.

    Raises:
        UserError: if the other images cannot be read, or do not fit the model.
    """
    if not (test_data or limit):
        return subject
    dataset = subject.dataset
    if test_data:
        try:
            dataset = load_elsewhere(dataset, test_data, data_dir)
        except UserError as error:
            raise UserError(f"--test_data={test_data}: {error}") from error
    if limit:
        few = None if dataset.novel is None else dataset.novel.sample(limit)
        dataset = dataclasses.replace(dataset, test=dataset.test.sample(limit), novel=few)
    return subject.on(dataset, test_data=test_data, limit=limit)
