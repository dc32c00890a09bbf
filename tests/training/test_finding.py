import json

import pytest

from common.errors import UserError
from training.finding import find_runs, name_runs


def make(folder, content=None):
    folder.mkdir(parents=True)
    config = {"name": "mnist:cnn", "experiment": {}} if content is None else content
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_of_runs_stands_for_them(tmp_path):
    runs = [make(tmp_path / name) for name in ("a", "b_seed0", "deeper/c")]
    make(tmp_path / "foreign", {"theme": "dark"})
    make(tmp_path / "list", [1])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    assert find_runs([str(tmp_path)]) == runs
    # Each once, in the order of the words; a run's own folder is not looked into.
    again = [str(runs[1]), str(runs[1]) + "/.", str(tmp_path)]
    assert find_runs(again) == [runs[1], runs[0], runs[2]]


def test_a_home_is_found(tmp_path, monkeypatch):
    run = make(tmp_path / "a")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_runs(["~/a"]) == [run]


@pytest.mark.parametrize("word", ["none", "", "~nobody_of_this_name/a"])
def test_what_holds_no_run_is_named(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^RUN={word}|{word} holds no run"):
        find_runs([word])


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / name for name in ("x/a/seed0", "y/a/seed0", "y/b/seed0", "seed1")]
    names = name_runs(paths)
    assert names == ["x_a_seed0", "y_a_seed0", "b_seed0", "seed1"]
    assert name_runs([]) == []
