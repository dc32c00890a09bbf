"""A folder belongs to one run and one process, and what it holds is data."""

import errno
import json
import os
import pathlib
import subprocess
import sys

import pytest

from common.errors import UserError
from common.files import expand
from evaluation.results.schema import SCHEMA, result_to_json
from tests.evaluation.made_up import clean
from tests.evaluation.test_earlier_schemas import PLAIN
from tests.training.tiny_model import TinyConfig
from training.experiment import Experiment
from training.run import locking
from training.run.directory import RunDirectory

EXPERIMENT = Experiment(model=TinyConfig(), steps=4)
# The same tower of brackets breaks the parser of JSON itself.
DEEP = "[" * 100_000


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def claimed(directory):
    with directory.claim("tiny", EXPERIMENT):
        yield directory


def listing(folder):
    return sorted((str(f), f.read_bytes()) for f in folder.rglob("*") if f.is_file())


FOREIGN = {
    "another program's": '{"name": "bert", "hidden_size": 768}',
    "nearly one of ours": '{"name": "bert", "experiment": "glue"}',
    "of a type that is none": '{"name": "bert", "experiment": {"type": "glue.Task"}}',
    "of a type that is no experiment": json.dumps(
        {"name": "a", "experiment": {"type": "training.optimizers.AdamConfig"}}
    ),
    "a list": "[1, 2]",
    "a number": "3",
    "empty": "",
    "no text": "\udcff\udcfe",
    "deep": DEEP,
    "a name that moves the cursor": '{"name": "\\u001b[2Jx", "experiment": {"type": "a"}}',
    "no name": '{"experiment": {"type": "training.experiment.Experiment"}}',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_config_is_not_overwritten(directory, kind):
    directory.path.mkdir()
    (directory.path / "config.json").write_text(FOREIGN[kind], errors="surrogateescape")
    before = listing(directory.path)
    with pytest.raises(UserError, match=r"choose another folder|cannot be read"):
        directory.check("tiny", EXPERIMENT)
    with pytest.raises(UserError), directory.claim("tiny", EXPERIMENT):
        pass
    with pytest.raises(UserError):
        directory.load(lambda _: EXPERIMENT)
    assert [file for file in listing(directory.path) if not file[0].endswith(".lock")] == before


def test_a_folder_in_the_way_of_a_file_is_left_alone(directory):
    (directory.path / "config.json").mkdir(parents=True)
    with pytest.raises(UserError, match="it is not a file"):
        directory.check("tiny", EXPERIMENT)


@pytest.mark.parametrize("name", ["record.json", "metrics.jsonl", "checkpoints", "run.txt"])
def test_a_file_that_is_named_like_a_runs_makes_no_run(directory, name):
    directory.path.mkdir()
    (directory.path / name).write_text("{}")
    with pytest.raises(UserError, match="holds files but no run"):
        directory.check("tiny", EXPERIMENT)


def test_a_workdir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="is not a folder"):
        RunDirectory(tmp_path / "file").check("tiny", EXPERIMENT)


def test_checkpoints_that_are_a_file(claimed):
    claimed.checkpoints.write_text("")
    with pytest.raises(UserError, match=r"checkpoints is not a folder"):
        claimed.check("tiny", EXPERIMENT)


RESULT = result_to_json(clean(0.5))
RECORD = {
    "schema": SCHEMA,
    "name": "tiny",
    "dataset": "mnist",
    "step": 4,
    "images_per_second": None,
}
OLD_RECORD = {**RECORD, "schema": 1, "results": [PLAIN]}


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("", "cannot be read"),
        ("[1]", "JSON object"),
        ("null", "JSON object"),
        ("{}", "name, dataset, schema, step, results"),
        ("\udcff", "cannot be read"),
        (json.dumps({**RECORD, "results": 3}), "results"),
        (json.dumps({**RECORD, "results": ["clean"]}), "a result is a str"),
        (json.dumps({**RECORD, "results": [{**RESULT, "value": "half"}]}), "value"),
        (json.dumps({**RECORD, "results": [{**RESULT, "interval": [0]}]}), "interval"),
        (json.dumps({**RECORD, "results": [{**RESULT, "metric": "accuracy"}]}), "metric"),
        (json.dumps({**RECORD, "results": [RESULT], "schema": 9}), "another schema"),
        (json.dumps({**OLD_RECORD, "results": [{**PLAIN, "unit": 7}]}), "unit"),
        (json.dumps({**RECORD, "results": [], "images_per_second": "fast"}), "images_per_second"),
        (json.dumps({**RECORD, "results": [], "name": "other"}), "it is of other, not tiny"),
    ],
)
def test_a_record_that_is_none_is_one_line(claimed, record, fault):
    (claimed.path / "record.json").write_text(record, errors="surrogateescape")
    with pytest.raises(UserError, match=fault) as caught:
        claimed.read_record()
    assert "record.json" in str(caught.value)


def test_a_record_is_read_back(claimed):
    assert claimed.read_record() is None
    for record in ({**RECORD, "results": [RESULT]}, OLD_RECORD):
        claimed.write_record(record)
        assert claimed.read_record() == record


def test_lines_of_metrics_that_are_none_are_dropped(claimed):
    rows = [{"step": 1}, {"step": 2}, {"step": 3}]
    others = ["", "[1]", "3", '{"step": "2"}', '{"loss": 1}', '{"step": true}', "\udcff", DEEP]
    lines = [*map(json.dumps, rows), *others]
    (claimed.path / "metrics.jsonl").write_text("\n".join(lines), errors="surrogateescape")
    claimed.rewind_metrics(2)
    kept = (claimed.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in kept] == rows[:2]


def test_metrics_of_something_else_are_left_alone(claimed):
    (claimed.path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    with pytest.raises(UserError, match=r"metrics.jsonl holds no metrics of a run"):
        claimed.rewind_metrics(0)
    assert (claimed.path / "metrics.jsonl").read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


@pytest.mark.parametrize("kind", ["empty", "an object", "a number", "cut short", "deep", "no text"])
def test_a_damaged_environment_begins_anew(claimed, kind):
    content = {"an object": "{}", "a number": "3", "cut short": "[", **FOREIGN}[kind]
    (claimed.path / "environment.json").write_text(content, errors="surrogateescape")
    claimed.add_environment({"python": "3"})
    claimed.add_environment({"python": "4"})
    starts = json.loads((claimed.path / "environment.json").read_text())
    assert starts == [{"python": "3"}, {"python": "4"}]


def test_a_file_that_cannot_be_written_is_named(claimed, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pathlib.Path, "open", full)
    with pytest.raises(UserError, match=r"--workdir=.*run.* \(metrics.jsonl: No space left"):
        claimed.append_metrics({"step": 1})


_HOLD = """
import sys
from tests.training.test_run_directory import EXPERIMENT
from training.run.directory import RunDirectory
with RunDirectory(sys.argv[1]).claim("tiny", EXPERIMENT):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_train_in_one_folder(directory):
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _HOLD, str(directory.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "holds\n"
        before = listing(directory.path)
        with (
            pytest.raises(UserError, match=r"--workdir=.*another process is training here"),
            directory.claim("tiny", EXPERIMENT),
        ):
            pass
        assert listing(directory.path) == before
        assert directory.load(lambda _: EXPERIMENT)[0] == "tiny"  # an evaluation may read
        holder.kill()  # and the lock goes with it
    with directory.claim("tiny", EXPERIMENT):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_warned_of(directory, monkeypatch, caplog, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locking.fcntl, "flock", refuse)
    with directory.claim("tiny", EXPERIMENT):
        assert "start no second process" in caplog.text


def test_a_lock_is_not_followed_out_of_the_folder(directory, tmp_path):
    directory.path.mkdir()
    (directory.path / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot be written"), directory.claim("tiny", EXPERIMENT):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_written_through_a_link_out_of_the_folder(directory, tmp_path):
    with directory.claim("tiny", EXPERIMENT):
        pass
    links = ("config.json", "environment.json", "record.json", "metrics.jsonl")
    for name in links:
        for link in (directory.path / name, directory.path / f"{name}.partial"):
            if name != "config.json" or link.suffix == ".partial":
                link.symlink_to(tmp_path / f"outside {name}")
    with directory.claim("tiny", EXPERIMENT):
        directory.rewind_metrics(0)
        directory.append_metrics({"step": 1})
        directory.add_environment({})
        directory.write_record({**RECORD, "results": []})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert {path.name for path in directory.path.iterdir() if not path.is_symlink()} >= {*links}


def test_a_home_is_filled_in(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert RunDirectory("~/runs/x/").path == pathlib.Path("/home/somebody/runs/x")
    assert RunDirectory("runs/~x").path == pathlib.Path("runs/~x")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("~nobody-of-this-name/x", "home"),
        ("a" * 300, "too long"),
    ],
)
def test_a_path_that_is_none(path, fault):
    with pytest.raises(UserError, match=rf"^--workdir=.*{fault}"):
        expand(path, "--workdir")


def test_a_home_that_is_not_there(monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(pathlib.Path, "expanduser", no_home)
    with pytest.raises(UserError, match=r"--data_dir=~/x: Could not determine home directory"):
        expand("~/x", "--data_dir")
