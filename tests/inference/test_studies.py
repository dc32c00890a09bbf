"""Studies: planned, carried out, stopped, split and put together again."""

import dataclasses
import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

import configs
import studies
from common.errors import UserError
from evaluation import suites
from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import (
    ARMS,
    STUDY,
    Study,
    is_stated,
    read_arms,
    read_diverged,
    read_study,
    write_arms,
    write_diverged,
)
from evaluation.comparison.tables import tabulate
from evaluation.results.pack import read_records
from evaluation.results.provenance import Checkpoint
from inference.studies.arms import describe_arms
from inference.studies.cells import Cell, Shard, StudyFolder, cells_of, parse_shard
from inference.studies.other_images import default_folder, on_dataset
from inference.studies.work import Work
from tests.conftest import ROOT
from tests.training.test_loop import EXPERIMENT
from tests.training.tiny_model import TinyConfig
from training.experiment import differences, to_json
from training.optimizers import AdamConfig

TINY = Study(
    question="Do wider networks make fewer mistakes?",
    arms={"wide": "tiny:32", "narrow": "tiny:2"},
    contrasts=(Contrast("wide", "narrow", "clean", "", "accuracy"),),
    suites=("clean", "confusions"),
    seeds=(0, 1),
    minutes={"wide": 2.0, "narrow": 1.0},
)
NAMES = [f"{arm}_seed{seed}" for seed in TINY.seeds for arm in TINY.arms]


def configurations(name):
    model = TinyConfig(width=int(name.partition(":")[2]))
    return dataclasses.replace(
        EXPERIMENT,
        model=model,
        steps=80,
        optimizer=AdamConfig(learning_rate=0.01),
        validate_every=80,
        checkpoint_every=80,
    )


def work(folder, data_dir, study=TINY, **fields):
    return Work(study, StudyFolder(pathlib.Path(folder)), configurations, data_dir, **fields)


@pytest.fixture(scope="module")
def done(data_dir, tmp_path_factory):
    """The folder of a study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("study")
    work(folder, data_dir).carry_out()
    return folder


def values(folder):
    """Values and outcomes by training, suite and metric."""
    found = {}
    for record in read_records(folder):
        for result in record.results:
            key = (record.provenance.run, record.suite, result.metric.name)
            outcomes = None if result.outcomes is None else result.outcomes.tolist()
            found[key] = (result.value, outcomes, record.provenance.weights)
    return found


def test_a_study_trains_and_evaluates_all_and_writes_its_page(done, data_dir):
    assert sorted(path.name for path in (done / "trainings").iterdir()) == sorted(NAMES)
    records = read_records(done)
    assert len(records) == 8
    assert {record.provenance.model for record in records} == {"wide", "narrow"}
    page = (done / "README.md").read_text(encoding="utf-8")
    sentence, table, arms = (
        page.index(text)
        for text in ("wide against narrow in 1 comparison", "| contrast", "## Arms")
    )
    assert page.index(TINY.question) < sentence < table < arms
    assert "wide against narrow" in page
    assert "seeds 0, 1 of" in page
    report = (done / "report.html").read_text()
    assert f"<h1>{TINY.question}</h1>" in report
    (judged,) = tabulate(records, TINY.stated)
    assert judged.failures == ()
    (verdict,) = judged.verdicts
    assert verdict.estimate is not None
    assert "_verdicts.png)" in page
    left = work(done, data_dir).left()
    assert (left.cells, left.minutes, left.of) == ([], 0.0, 4)


def test_what_is_done_is_not_done_again(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(done, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*/record.json")}
    work(folder, data_dir).carry_out()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*/record.json")} == before


def test_what_is_missing_is_done_again(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(done, folder)
    shutil.rmtree(folder / "trainings" / NAMES[0])
    shutil.rmtree(folder / "records" / NAMES[0])
    (folder / "records" / NAMES[1] / "last" / "clean.json").unlink()
    left = work(folder, data_dir).left()
    assert [cell.name for cell in left.cells] == NAMES[:2]
    work(folder, data_dir).carry_out()
    assert values(folder) == values(done)


def test_shards_are_put_together_by_copying(done, data_dir, tmp_path):
    for number in (1, 2):
        folder = tmp_path / str(number)
        work(folder, data_dir, shard=Shard(number, 2)).carry_out()
        assert len(list((folder / "trainings").iterdir())) == 2
        shutil.copytree(folder, tmp_path / "both", dirs_exist_ok=True)
    work(tmp_path / "both", data_dir).carry_out()
    assert values(tmp_path / "both") == values(done)
    pages = [(folder / "README.md").read_text() for folder in (tmp_path / "both", done)]
    assert pages[0].partition("\n")[2] == pages[1].partition("\n")[2]


def test_a_study_goes_on_from_its_records_alone(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(done, folder)
    shutil.rmtree(folder / "trainings")
    shutil.rmtree(folder / "records" / NAMES[3])
    left = work(folder, data_dir).left()
    assert [cell.name for cell in left.cells] == NAMES[3:]
    work(folder, data_dir).carry_out()
    assert [path.name for path in (folder / "trainings").iterdir()] == NAMES[3:]
    assert values(folder) == values(done)


def reaching(most, name):
    """The tiny networks, of which the narrow one is stopped below an accuracy of `most`."""
    experiment = configurations(name)
    steps = 40 if name == "tiny:2" else 80
    every = {"validate_every": 2, "checkpoint_every": 2, "milestones": (most - 0.05, most)}
    return dataclasses.replace(experiment, steps=steps, **every)


@pytest.mark.slow
def test_arms_are_compared_at_one_accuracy(data_dir, tmp_path):
    study = dataclasses.replace(TINY, match_accuracy=0.6)
    folder = StudyFolder(tmp_path)
    matched = Work(study, folder, functools.partial(reaching, 0.6), data_dir)
    with pytest.raises(UserError, match="narrow_seed0"):
        matched.carry_out()
    records = read_records(tmp_path)
    assert {record.provenance.checkpoint for record in records} == {Checkpoint.matched(0.6)}
    assert {record.provenance.model for record in records} == {"wide"}
    assert matched.left().cells == []
    page = (tmp_path / "README.md").read_text()
    assert "at matched accuracy: within 0.1 points of 60.00 % on validation" in page
    assert re.search("narrow_seed0 is left out: .*no checkpoint here reached 60.00 %", page)


def test_what_is_left_takes_as_long_as_what_was_done(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(done, folder)
    times = folder / "times"
    assert sorted(path.stem for path in times.iterdir()) == sorted(NAMES)
    # Training and evaluating the first took longer than its training alone.
    first = StudyFolder(folder)
    record = json.loads((folder / "trainings" / NAMES[0] / "record.json").read_text())
    assert first.seconds(Cell("wide", 0)) > record["train_seconds"]
    for name, seconds in zip(NAMES, (300.0, 30.0, 600.0, 90.0), strict=True):
        (times / f"{name}.json").write_text(json.dumps({"seconds": seconds}))
    # Of "wide", seed 1, a third is done; "narrow", seed 1, has not begun; the others are done.
    (times / f"{NAMES[2]}.json").write_text(json.dumps({"seconds": 100.0}))
    (times / f"{NAMES[3]}.json").unlink()
    for name in NAMES[2:]:
        shutil.rmtree(folder / "records" / name)
    left = work(folder, data_dir).left()
    assert left.by_arm == {"wide": pytest.approx(200 / 60), "narrow": 0.5}
    assert work(folder, data_dir, shard=Shard(2, 2)).left().by_arm == {"wide": 0.0, "narrow": 0.5}
    with first.timed(Cell("wide", 1)):
        pass
    assert 100.0 < first.seconds(Cell("wide", 1)) < 101.0
    (times / f"{NAMES[3]}.json").write_text('{"seconds": "long"}')
    with pytest.raises(UserError, match=r"narrow_seed1\.json"):
        work(folder, data_dir).left()


def test_a_study_that_is_stated_anew_describes_its_arms_anew(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(done, folder)
    (folder / STUDY).unlink()
    described = (folder / ARMS).read_bytes()
    write_arms([{"arm": arm, "images": "0"} for arm in TINY.arms], folder)
    work(folder, data_dir).carry_out()
    assert (folder / ARMS).read_bytes() == described


def test_a_statement_of_before_has_no_accuracy_to_match(done, tmp_path):
    stored = json.loads((done / STUDY).read_text())
    assert stored.pop("match_accuracy") is None
    (tmp_path / STUDY).write_text(json.dumps(stored))
    assert read_study(tmp_path) == TINY


@pytest.mark.slow
def test_kills_in_the_middle_lose_nothing(done, data_dir, tmp_path):
    folder = tmp_path / "study"
    command = [sys.executable, "-m", "tests.inference.tiny_study", str(folder), data_dir]
    # While the first one trains, between the record of one suite and the next, and while the third
    # one trains.
    for path in (
        folder / "trainings" / NAMES[0] / "metrics.jsonl",
        folder / "records" / NAMES[0] / "last" / "clean.json",
        folder / "trainings" / NAMES[2] / "config.json",
    ):
        with subprocess.Popen(command, cwd=ROOT) as process:
            while not path.exists():
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
    work(folder, data_dir).carry_out()
    assert values(folder) == values(done)


def test_shards_are_parts_of_all_cells():
    cells = cells_of(TINY)
    assert [cell.name for cell in cells] == NAMES
    assert cells[0] == Cell("wide", 0)
    shared = [cells_of(TINY, Shard(number, 4)) for number in (1, 2, 3, 4)]
    assert sorted(cell for part in shared for cell in part) == sorted(cells)
    assert parse_shard("2/4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/2/3", "a/b", "1.0/2"])
def test_a_shard_that_is_none_is_named(text):
    with pytest.raises(UserError, match="write K/N"):
        parse_shard(text)


def test_the_plan_says_what_is_left_and_how_long_it_takes(data_dir, tmp_path):
    planned = work(tmp_path, data_dir)
    assert str(planned.left()) == "4 of 4 trainings left, about 6 minutes"
    wide, narrow = planned.plan()
    assert (wide["arm"], wide["done"], wide["left"], wide["minutes left"]) == (
        "wide",
        "0",
        "2",
        "4",
    )
    assert (wide["parameters"], narrow["parameters"]) == (f"{785 * 32 + 33 * 10:,}", "1,600")
    assert wide["dropout"] == "0.2"
    assert not list(tmp_path.iterdir())


def test_another_statement_is_refused_where_one_lies(done, data_dir, tmp_path):
    shutil.copy(done / STUDY, tmp_path / STUDY)
    other = dataclasses.replace(TINY, contrasts=(Contrast("narrow", "wide"),))
    with pytest.raises(UserError, match="states something else"):
        work(tmp_path, data_dir, other).carry_out()
    with pytest.raises(UserError, match="states something else"):
        list(work(tmp_path, data_dir, other).plan())
    assert read_study(tmp_path) == TINY
    assert is_stated(TINY, tmp_path)
    assert is_stated(dataclasses.replace(TINY, minutes={"wide": 9.0, "narrow": 9.0}), tmp_path)


def test_what_failed_by_one_statement_may_not_by_another(done, data_dir, tmp_path):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    folder = StudyFolder(tmp_path)
    folder.mark_failed(Cell("wide", 0), "it never reached 98.5 %")
    write_diverged({"wide_seed0": "it never reached 98.5 %"}, tmp_path)
    (tmp_path / STUDY).unlink()
    work(tmp_path, data_dir).carry_out()
    assert folder.failure(Cell("wide", 0)) is None
    assert "98.5" not in (tmp_path / "README.md").read_text()


def test_what_diverged_elsewhere_is_not_trained_again(done, data_dir, tmp_path):
    # As unpacking leaves it: without the folder of reasons.
    shutil.copy(done / STUDY, tmp_path / STUDY)
    write_diverged({"wide_seed0": "loss is nan"}, tmp_path)
    left = work(tmp_path, data_dir).left()
    assert Cell("wide", 0) not in left.cells
    assert len(left.cells) == 3
    work(tmp_path, data_dir).write_page()
    assert read_diverged(tmp_path) == {"wide_seed0": "loss is nan"}


def test_a_reason_that_is_none_is_named(tmp_path):
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "wide_seed0.json").write_text("{}")
    with pytest.raises(UserError, match=r"wide_seed0\.json is damaged"):
        StudyFolder(tmp_path).failure(Cell("wide", 0))


def test_more_parts_than_trainings_are_refused():
    assert len(cells_of(TINY, Shard(4, 4))) == 1
    with pytest.raises(UserError, match="--shard=5/5: there are 4 trainings"):
        cells_of(TINY, Shard(5, 5))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contrasts", [{"first": "wide", "second": "unknown"}]),
        ("contrasts", [3]),
        ("suites", [3]),
        ("seeds", [1.5, 2]),
        ("seeds", [0]),
        ("ratio", 1.0),
        ("ratio", "large"),
        ("match_accuracy", 99.0),
        ("match_accuracy", "high"),
        ("minutes", {}),
        ("arms", {"wide": 3, "narrow": "tiny:2"}),
        ("surplus", 3),
    ],
)
def test_a_damaged_statement_is_named(done, tmp_path, field, value):
    stored = json.loads((done / STUDY).read_text())
    (tmp_path / STUDY).write_text(json.dumps({**stored, field: value}))
    with pytest.raises(UserError, match=STUDY):
        read_study(tmp_path)


def test_damaged_arms_are_named(tmp_path):
    assert read_arms(tmp_path) == []
    (tmp_path / ARMS).write_text('{"arms": [{"arm": 3}]}')
    with pytest.raises(UserError, match=ARMS):
        read_arms(tmp_path)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"contrasts": (Contrast("wide", "none"),)}, "'none' is no arm"),
        ({"contrasts": (Contrast("wide", "narrow", "rotation"),)}, "none of the suites"),
        ({"suites": ("confusions",), "contrasts": ()}, "without the suite 'clean'"),
        ({"seeds": (0,)}, "fewer than two"),
        ({"seeds": (0, 0, 1)}, "not all different"),
        ({"ratio": 1.0}, "not above 1"),
        ({"match_accuracy": 99.0}, "not between 0 and 1"),
        ({"minutes": {"wide": 1.0}}, "not of all arms"),
    ],
)
def test_a_study_of_which_nothing_could_come_is_refused(fields, fault):
    with pytest.raises(ValueError, match=fault):
        dataclasses.replace(TINY, **fields).check()


def test_a_training_that_diverges_is_kept_as_such(data_dir, tmp_path):
    def diverging(name):
        model = TinyConfig(blow_up_at=3 if name == "tiny:2" else 0)
        return dataclasses.replace(EXPERIMENT, model=model)

    study = dataclasses.replace(TINY, seeds=(0, 1), suites=("clean",))
    folder = StudyFolder(tmp_path)
    with pytest.raises(UserError, match="narrow_seed0"):
        Work(study, folder, diverging, data_dir).carry_out()
    assert "loss is nan" in (folder.failure(Cell("narrow", 0)) or "")
    again = Work(study, folder, diverging, data_dir)
    assert again.left().cells == []
    again.carry_out()
    page = (tmp_path / "README.md").read_text()
    assert "narrow_seed0 is left out: " in page


def test_every_study_of_the_project_can_be_carried_out():
    for name in studies.names():
        study = studies.load(name)
        for arm in study.arms.values():
            configs.load(arm).check()
        assert set(study.suites) <= set(suites.names())
        assert name in studies.catalogue()
    with pytest.raises(UserError, match="did you mean small_shifts"):
        studies.load("small_shift")


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        # 5x5, pooled by 2, and again.
        ("cnn", ("16x16", "4", "454,922", "-", "0.5")),
        # Two layers of 9x9, the second of stride 2.
        pytest.param(
            "capsnet", ("17x17", "2", "6,804,224", "1,411,344", "-"), marks=pytest.mark.slow
        ),
    ],
)
def test_arms_have_the_receptive_fields_of_their_layers(data_dir, arm, expected):
    study = dataclasses.replace(TINY, arms={arm: f"mnist:{arm}"}, minutes={})
    (line,) = describe_arms(study, configs.load, data_dir)
    columns = ("receptive field", "stride", "parameters", "decoder", "dropout")
    assert tuple(line[name] for name in columns) == expected
    assert line["loss"].startswith(("Mean softmax cross-entropy", "Margin loss"))
    assert float(line["MFLOPs/image"]) > 1.0


@pytest.mark.parametrize(("words", "loss"), [("", "Margin"), (",cross_entropy", "Cross-entropy")])
def test_arms_have_the_loss_that_was_chosen(data_dir, words, loss):
    study = dataclasses.replace(TINY, arms={"arm": f"trunk_and_head:average,slim{words}"})
    (line,) = describe_arms(study, configs.load, data_dir)
    assert line["loss"] == loss


def test_the_command_plans_and_lists(command, tmp_path):
    listed = command("study.py", "list", check=True).stdout
    assert "small_shifts" in listed
    failed = command("study.py", "small_shifts", "--shard=3/2", f"--workdir={tmp_path / 'x'}")
    assert failed.returncode != 0
    assert failed.stderr.strip().splitlines()[-1].startswith("error: --shard=3/2")
    unknown = command("study.py", "small_shifts", "--sharp=3/2")
    assert unknown.returncode != 0
    assert unknown.stderr.startswith("error: unrecognized arguments: --sharp=3/2; python study.py")
    assert unknown.stderr.count("\n") == 1


def test_the_same_study_is_asked_on_other_images():
    def rendered(name):
        return configs.load({"wide": "stn_mnist", "narrow": "cnn_mnist"}[name])

    arms = {"wide": "wide", "narrow": "narrow"}
    study = dataclasses.replace(TINY, arms=arms)
    asked, elsewhere = on_dataset(study, rendered, "folder:path/to/pets")
    assert asked.question == "Do wider networks make fewer mistakes, on folder:pets?"
    assert dataclasses.replace(asked, question=study.question) == study
    for arm, change in (("wide", "dataset.source.name"), ("narrow", "dataset.name")):
        before, after = to_json(rendered(arm)), to_json(elsewhere(arm))
        assert differences(before, after) == [f"{change}: mnist -> folder:path/to/pets"]
    assert on_dataset(study, rendered, None) == (study, rendered)
    with pytest.raises(UserError, match="--dataset=x: the arm 'wide' draws its images itself"):
        on_dataset(study, lambda name: configs.load("viewpoints:cnn_slim"), "x")


def test_a_study_on_other_images_has_a_folder_of_its_own():
    assert default_folder("routing", None) == "runs/studies/routing"
    assert default_folder("routing", "fashion_mnist") == "runs/studies/routing_fashion_mnist"
    assert default_folder("routing", "folder:b.c") == "runs/studies/routing_folder_b_c"
    one, other = (default_folder("routing", f"folder:{way}/b.c") for way in ("../a", "x"))
    assert one != other
    assert one.startswith("runs/studies/routing_folder_b_c_")
