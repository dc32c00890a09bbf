import dataclasses
import itertools
import json
import resource
import shutil
import signal
import time

import jax
import numpy as np
import pytest

from common.errors import NonFiniteError, UserError
from data.sources.load import DatasetConfig
from data.tasks import distorted
from evaluation.model import predict_all
from evaluation.statistics.intervals import wilson_interval
from inference.restore import restore_run
from stn.networks.mnist import TransformerNetworkConfig
from tests.training.test_step import assert_same
from tests.training.tiny_model import TinyConfig
from training import loop
from training.experiment import Experiment
from training.interruption import Interrupted
from training.optimizers import AdamConfig
from training.run.checkpoints import Checkpoints
from training.run.directory import RunDirectory
from training.run.logging import Reporter

EXPERIMENT = Experiment(
    model=TinyConfig(),
    steps=14,
    batch_size=16,
    dataset=DatasetConfig(
        train="train[:100]", validation="train[100:160]", test="test[:90]", shift=1
    ),
    ema_decay=0.9,
    validate_every=6,
    checkpoint_every=4,
    log_every=2,
    evaluation_batch_size=40,
)


def known(name):
    """The configuration of the name with which `train` trains."""
    assert name == "tiny"
    return EXPERIMENT


@pytest.fixture
def train(data_dir, tmp_path):
    def run(workdir="run", **fields):
        experiment = dataclasses.replace(EXPERIMENT, **fields)
        return loop.run(experiment, name="tiny", workdir=str(tmp_path / workdir), data_dir=data_dir)

    return run


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    loop.run(EXPERIMENT, name="tiny", workdir=str(folder), data_dir=data_dir)
    return folder


@pytest.fixture
def trained(whole, tmp_path):
    """The folder in which `train` trains, with a run in it that nothing disturbed."""
    return shutil.copytree(whole, tmp_path / "run")


def final_state(tmp_path, workdir, data_dir):
    return jax.device_get(
        restore_run(tmp_path / workdir, data_dir=data_dir, configurations=known).state
    )


def test_a_run_leaves_its_record_metrics_and_checkpoints(train, tmp_path, capsys):
    record = train()
    folder = tmp_path / "run"
    assert json.loads((folder / "record.json").read_text()) == json.loads(json.dumps(record))
    assert (record["step"], record["seed"], record["name"]) == (14, 0, "tiny")
    assert record["parameters"] == 784 * 8 + 8 + 8 * 10 + 10
    (result,) = record["results"]
    assert result["count"] == 90
    correct = round(result["value"] * 90)
    assert tuple(result["interval"]) == wilson_interval(correct, 90)
    assert record["environment"]["versions"]["jax"] == jax.__version__
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["split"] == "train"] == list(range(2, 15, 2))
    assert [row["step"] for row in rows if row["split"] == "validation"] == [6, 12, 14]
    assert {"12", "14"} <= {path.name for path in (folder / "checkpoints").iterdir()}
    assert json.loads((folder / "config.json").read_text())["experiment"]["steps"] == 14
    assert len(json.loads((folder / "environment.json").read_text())) == 1
    assert "clean accuracy" in capsys.readouterr().out


def test_a_spatial_transformer_shows_what_it_does(train, tmp_path, capsys):
    record = train(
        model=TransformerNetworkConfig("fcn", parameters=70_000),
        dataset=dataclasses.replace(distorted.rotated(), source=EXPERIMENT.dataset),
        suites=("clean", "pose"),
        steps=7,
    )
    clean, pose = record["results"]
    assert clean["count"] == pose["count"] == 90
    assert pose["metric"]["unit"] == "px"
    assert 0.0 < pose["value"] < 28.0
    folder = tmp_path / "run"
    pictures = sorted(path.name for path in (folder / "figures").iterdir())
    assert pictures == ["warps_000006.png", "warps_000007.png"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["split"] == "validation"][-1]
    assert {"rotation", "scale_spread", "coverage", "pose_error"} <= set(last)
    printed = capsys.readouterr().out
    assert "pose error" in printed
    assert " px [" in printed


def test_what_does_not_apply_is_said(train, capsys):
    (result,) = train(suites=("clean", "pose"))["results"]
    assert result["suite"] == "clean"
    assert "tiny: pose is not applicable: the model has no `warp`" in capsys.readouterr().out


def test_an_optimizer_for_a_part_that_is_not_there_is_one_line(train):
    with pytest.raises(UserError, match="slow_part='transformers'"):
        train(optimizer=AdamConfig(slow_part="transformers"))


def test_a_complete_run_is_not_trained_again(train, trained, capsys):
    record = json.loads((trained / "record.json").read_text())
    again = train()
    assert again["results"][0]["value"] == record["results"][0]["value"]
    assert "is complete" in capsys.readouterr().out


def test_a_run_that_is_older_than_a_field_goes_on(train, trained):
    record = json.loads((trained / "record.json").read_text())
    path = trained / "config.json"
    stored = json.loads(path.read_text())
    del stored["experiment"]["milestones"], stored["experiment"]["dataset"]["size"]
    path.write_text(json.dumps(stored))
    assert train()["step"] == record["step"]
    stored["experiment"]["_type"] = "training.experiment.NoLongerThere"
    path.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="holds another experiment"):
        train()


@pytest.mark.parametrize(
    ("number", "stop_at"), [(signal.SIGTERM, 2), (signal.SIGINT, 8), (signal.SIGTERM, 10)]
)
def test_a_stopped_and_resumed_run_ends_bit_identical(
    train, whole, tmp_path, data_dir, monkeypatch, number, stop_at
):
    report = Reporter.training

    def stop(self, step, metrics):
        report(self, step, metrics)
        if step == stop_at:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "training", stop)
        with pytest.raises(Interrupted) as caught:
            train("stopped")
    assert caught.value.signal_number == number
    assert not (tmp_path / "stopped" / "record.json").exists()
    resumed = train("stopped")
    assert resumed["step"] == 14
    assert_same(final_state(whole, "", data_dir), final_state(tmp_path, "stopped", data_dir))
    assert metrics(whole) == metrics(tmp_path / "stopped")


def metrics(folder):
    """All that a run wrote down, in order, but for its speed."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in row if key != "images_per_second"} for row in rows]


@pytest.fixture
def train_until(train, monkeypatch):
    """Trains until a step's metrics are reported, and then does something."""

    def run(step, act, **fields):
        report = Reporter.training

        def report_and_act(self, at, means):
            report(self, at, means)
            if at == step:
                act()

        with monkeypatch.context() as patch:
            patch.setattr(Reporter, "training", report_and_act)
            return train(**fields)

    return run


def test_windows_that_stops_cut_in_two_are_reported_as_if_whole(
    train, train_until, tmp_path, data_dir, monkeypatch
):
    # One step per dispatch, so that the stop comes in the middle of a window, and checkpoints at 4,
    # 6, 8 and 12 do as well.
    monkeypatch.setattr(loop, "_SECONDS_PER_DISPATCH", 1e-9)
    train("whole", log_every=5)
    with pytest.raises(Interrupted):
        train_until(5, lambda: signal.raise_signal(signal.SIGTERM), log_every=5)
    saved = RunDirectory(tmp_path / "run").checkpoints
    newest = max(saved.iterdir(), key=lambda step: int(step.name))
    assert int(newest.name) % 5
    train(log_every=5)
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
    # And from a checkpoint further back, after a kill without warning.
    (tmp_path / "run" / "record.json").unlink()
    shutil.rmtree(saved / "14")
    train(log_every=5)
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
    assert_same(final_state(tmp_path, "whole", data_dir), final_state(tmp_path, "run", data_dir))


def test_many_signals_while_it_saves_stop_it_once(train, train_until, tmp_path, monkeypatch):
    save = Checkpoints.save

    def save_under_fire(self, *arguments):
        for _ in range(30):
            signal.raise_signal(signal.SIGTERM)
        save(self, *arguments)
        for _ in range(30):
            signal.raise_signal(signal.SIGHUP)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_under_fire)
        with pytest.raises(Interrupted) as caught:
            train()
    assert caught.value.signal_number == signal.SIGTERM
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["4"]
    assert train()["step"] == 14


def test_a_stop_in_the_last_evaluation_is_heeded_and_the_run_goes_on_there(
    train, tmp_path, monkeypatch, capsys
):
    calls, evaluate = [], loop._Training._evaluate

    def interrupted(self, *asked):
        signal.raise_signal(signal.SIGHUP)
        calls.append(self.step)
        return evaluate(self, *asked)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_evaluate", interrupted)
        with pytest.raises(Interrupted):
            train(suites=("clean", "pose"))
    assert calls == [14]
    assert "stopped at step 14 of 14; the same command resumes" in capsys.readouterr().out
    assert not (tmp_path / "run" / "record.json").exists()
    assert train(suites=("clean", "pose"))["results"][0]["count"] == 90
    assert "resuming" in capsys.readouterr().out


@pytest.mark.parametrize("change", [0.0, -1.0])
def test_a_clock_that_does_not_run_forward_changes_no_result(
    train, whole, tmp_path, data_dir, monkeypatch, capsys, change
):
    ticks = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: 1e6 + change * next(ticks))
        record = train()
    assert record["train_seconds"] == record["compile_seconds"] == 0.0
    assert record["images_per_second"] is None
    assert metrics(tmp_path / "run") == metrics(whole)
    assert "images_per_second" not in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "? images/s" in capsys.readouterr().out
    train()  # a complete one is shown again
    assert_same(final_state(whole, "", data_dir), final_state(tmp_path, "run", data_dir))


@pytest.fixture
def small_files():
    """Limits how long a file may become, which is what a full disk is to those who write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_becomes_full_ends_it_at_the_first_checkpoint_not_saved(
    train, tmp_path, data_dir, small_files, caplog, capfd, monkeypatch
):
    save = Checkpoints.save

    def save_on_a_full_disk(self, step, *arguments):
        if step == 8:
            self.wait()  # the ones before are whole
            small_files(20_000)
        save(self, step, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_on_a_full_disk)
        patch.setattr(loop, "_SECONDS_PER_DISPATCH", 0.01)
        with pytest.raises(UserError) as caught:
            train(steps=200)
    small_files(resource.RLIM_INFINITY)
    folder = tmp_path / "run" / "checkpoints"
    assert f"checkpoint {folder / '8'} cannot be saved (File too large)" in str(caught.value)
    assert "[6] are kept" in str(caught.value)
    assert "Traceback" not in caplog.text + capfd.readouterr().err
    assert metrics(tmp_path / "run")[-1]["step"] <= 12  # it did not train on for nothing
    # The next start removes what threads of the one that failed went on to write.
    assert {path.name for path in folder.iterdir() if path.name.isdigit()} <= {"4", "6"}
    assert restore_run(tmp_path / "run", data_dir=data_dir, configurations=known).step == 6


def test_a_device_that_is_too_small_is_one_line(train, monkeypatch):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory: 9 GB\nmore")

    monkeypatch.setattr(loop._Training, "run", exhausted)
    with pytest.raises(
        UserError, match=r"batch_size=16, evaluation_batch_size=40: too large .*9 GB"
    ):
        train()


def test_a_second_start_in_the_same_folder_is_one_line_and_changes_nothing(
    train, train_until, whole, tmp_path
):
    def start_again():
        with pytest.raises(UserError, match="another process is training here"):
            train()

    train_until(4, start_again)
    assert metrics(tmp_path / "run") == metrics(whole)


def test_without_jit_it_trains_all_the_same(train, tmp_path):
    few = DatasetConfig(train="train[:8]", validation="train[8:12]", test="test[:4]", shift=0)
    often = dict.fromkeys(("validate_every", "checkpoint_every"), 2)
    with jax.disable_jit():
        train(steps=1, batch_size=4, dataset=few, ema_decay=0.0, suites=(), log_every=1, **often)
    row, _ = metrics(tmp_path / "run")
    assert 1.0 < row["loss"] < 5.0  # of ten classes, at the start


def test_blocks_of_other_lengths_change_nothing(train, whole, tmp_path, data_dir, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_PER_DISPATCH", 1e-9)  # one step per dispatch
    train("steps")
    assert_same(final_state(whole, "", data_dir), final_state(tmp_path, "steps", data_dir))


def test_steps_that_seem_to_take_no_time_do_not_make_one_long_block(train, monkeypatch):
    blocks, ticks, report = [], itertools.count(), loop._Training._report

    def listen(self, block):
        blocks.append(block[1])
        report(self, block)

    monkeypatch.setattr(loop._Training, "_report", listen)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: 1e-6 * next(ticks))
    train(steps=60, validate_every=60, checkpoint_every=60)
    assert sum(blocks) == 60
    assert max(blocks) > 8
    assert all(now <= 2 * before for before, now in itertools.pairwise([1, *blocks]))


def test_a_diverging_run_stops_and_keeps_its_last_good_checkpoint(train, tmp_path, data_dir):
    with pytest.raises(NonFiniteError, match=r"loss is nan at step 7; try .* of step 6 is kept"):
        train(model=TinyConfig(blow_up_at=7))
    run = restore_run(tmp_path / "run", data_dir=data_dir, configurations=known)
    assert run.step == 6
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run.state.params))


def test_a_run_that_diverges_at_its_validation_says_so_too(train):
    found = r"validation at step 6: .* image 1 of 60 is NaN .*another --workdir; .* of step 4 is"
    with pytest.raises(NonFiniteError, match=found):
        train(model=TinyConfig(blind=True))


def test_what_is_only_looked_at_ends_no_run(train, capsys, monkeypatch):
    def observe(names, predictor, dataset, **how):
        del names, predictor, how
        predict_all(lambda batch: batch * np.nan, dataset.validation.images, batch_size=4, name="m")

    monkeypatch.setattr(loop.monitors, "observe", observe)
    assert train()["step"] == 14
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert [line.split(" m:")[0] for line in lines] == [
        f"warning: at step {n}" for n in (6, 12, 14)
    ]


def test_a_plateau_is_named_once(train, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_STEPS_BEFORE_DIAGNOSIS", 5)
    train(model=TinyConfig(plateau=True))
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert warnings == ["warning: at step 6 it sits on a plateau"]


def test_a_network_with_one_answer_for_all_images_is_named_once(train, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_STEPS_BEFORE_DIAGNOSIS", 7)
    train(model=TinyConfig(dead=True))
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    finding = "every validation image is predicted to be class "
    assert warning.startswith(f"warning: at step 12 {finding}")
    train("alive")
    assert "warning" not in capsys.readouterr().out


def test_another_experiment_in_the_folder_is_left_alone(train, trained):
    before = (trained / "record.json").read_bytes()
    with pytest.raises(UserError, match=r"holds another experiment \(experiment.seed: 0 -> 1\)"):
        train(seed=1)
    assert (trained / "record.json").read_bytes() == before


def test_a_folder_of_other_files_is_left_alone(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="holds files but no run"):
        train()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_written(train, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"--workdir=.*cannot be written"):
        train("file/run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"suites": ("cleen",)}, "suite 'cleen' does not exist; did you mean clean?"),
        ({"batch_size": 101}, "batch_size=101 is more than the 100 training images"),
    ],
)
def test_what_cannot_run_leaves_nothing_behind(train, tmp_path, fields, message):
    with pytest.raises(UserError, match=message):
        train(**fields)
    assert not (tmp_path / "run").exists()


def test_a_run_that_never_saved_makes_room_for_the_next(train, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.claim("tiny", dataclasses.replace(EXPERIMENT, seed=9)):
        pass
    (tmp_path / "run" / "config.json.partial").write_text("cut sh")
    assert train(steps=2)["step"] == 2
    assert directory.load(known)[1].seed == 0


def test_a_damaged_metrics_line_does_not_stop_a_resumed_run(train, tmp_path, monkeypatch):
    report = Reporter.training

    def stop(self, step, metrics):
        report(self, step, metrics)
        if step == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "training", stop)
        with pytest.raises(Interrupted):
            train()
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "spl')
    assert train()["step"] == 14
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


def test_tensorboard_gets_the_metrics(whole):
    (events,) = (whole / "tensorboard").iterdir()
    assert b"validation/accuracy" in events.read_bytes()


def test_the_best_checkpoint_can_be_restored(whole, tmp_path, data_dir):
    scores = {r["step"]: r["accuracy"] for r in metrics(whole) if r["split"] == "validation"}
    best = restore_run(whole, checkpoint="best", data_dir=data_dir, configurations=known)
    assert scores[best.step] == max(scores.values())
    with pytest.raises(UserError, match="holds no run"):
        restore_run(tmp_path / "nothing", data_dir=data_dir)
