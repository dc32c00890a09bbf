"""What tables say of the moment of a run that they show."""

import dataclasses

import pytest

from evaluation.runner import subject_of
from inference.restore import restore_run
from inference.subjects import of_run
from tests.training.test_loop import EXPERIMENT, known
from training import loop


@pytest.fixture(scope="module")
def folder(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment = dataclasses.replace(EXPERIMENT, steps=3)
    loop.run(experiment, name="tiny", workdir=str(folder), data_dir=data_dir)
    return folder


@pytest.mark.parametrize(
    ("steps", "checkpoint", "accuracy", "title"),
    [
        (3, "last", None, "at the end of training"),
        (14, "last", None, "before the end of training"),
        (14, "best", None, "at the best step on validation"),
        (14, "last", 0.5, "at matched accuracy: within 0.1 points of 50.00 % on validation"),
    ],
)
def test_a_run_that_has_not_come_to_its_end_is_named_so(
    folder, data_dir, monkeypatch, steps, checkpoint, accuracy, title
):
    run = restore_run(folder, data_dir=data_dir, configurations=known)
    setup = dataclasses.replace(
        run.setup, experiment=dataclasses.replace(run.setup.experiment, steps=steps)
    )
    run = dataclasses.replace(run, setup=setup)
    monkeypatch.setattr("inference.subjects.restore_run", lambda *_, **__: run)
    subject = of_run(
        folder,
        "tiny",
        checkpoint=checkpoint,
        match_accuracy=accuracy,
        data_dir=data_dir,
        configurations=known,
        describe=lambda name, experiment: name,
    )
    assert subject.provenance.checkpoint.title == title
    if checkpoint == "last" and accuracy is None:
        assert subject_of(run, None, "tiny").provenance.checkpoint.title == title
