"""Every benchmark runs, at sizes that say nothing about speed."""

import importlib
import json
import subprocess

import jax
import numpy as np
import pytest

from benchmarks import convolutions, generation, routing, run, scaling


def record(path):
    figures = json.loads(path.read_text())
    assert figures["versions"]["jax"]
    return figures


def test_convolutions(monkeypatch, tmp_path, capsys):
    layer = ((6, 6, 2), (3, 3, 2, 4), 1, "SAME")
    monkeypatch.setattr(convolutions, "LAYERS", {"a layer": layer})
    convolutions.main(["--rounds=1", f"--json={tmp_path / 'c.json'}"])
    assert "auto / fastest" in capsys.readouterr().out
    (result,) = record(tmp_path / "c.json")["results"]
    assert result["auto"] in result["training"]


@pytest.mark.parametrize("name", routing.ROUTINGS)
def test_the_plain_routing_is_the_same_function(name):
    sizes = (routing.DIRECTIONS[1], 2, 6)
    calls = [routing.make_contender(name, which, *sizes)[0] for which in ("ours", "plain einsums")]
    ours, plain = (call() for call in calls)
    assert len(jax.tree.leaves(ours)) >= 4
    assert routing.largest_error(plain, ours) < 1e-4


def test_routing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(routing, "BATCH", 2)
    monkeypatch.setattr(routing, "IN_CAPSULES", {"dynamic": (6,)})
    routing.main(["dynamic", "--rounds=1", f"--json={tmp_path / 'r.json'}"])
    printed = capsys.readouterr().out
    assert "plain / ours" in printed
    assert "Slower than 1.5 times the plain form: " in printed
    results = record(tmp_path / "r.json")["results"]
    assert [result["direction"] for result in results] == list(routing.DIRECTIONS)
    assert all(result["times"]["ours"]["process_ms"] > 0 for result in results)


def test_what_gives_other_numbers_is_not_timed(monkeypatch):
    calls = {"ours": lambda: np.ones(3), "plain einsums": lambda: np.array([1.0, 1.0, 1.01])}
    monkeypatch.setattr(routing, "make_contenders", lambda *sizes: (calls, {}))
    monkeypatch.setattr(routing, "measure", None)
    with pytest.raises(RuntimeError, match=r"uniform, forward: plain einsums differs .* 1\.0e-02"):
        routing.compare("uniform", "forward", 6, 1)


def test_what_is_slower_than_the_plain_form_is_named():
    def result(name, plain):
        times = {"ours": {"median_ms": 4.0}, "plain einsums": {"median_ms": plain}}
        return {"routing": name, "direction": "forward", "times": times}

    said = routing.say_what_is_slow([result("dynamic", 2.0), result("uniform", 3.0)])
    assert said.endswith("the plain form: dynamic, forward (2.00 times).")
    assert routing.say_what_is_slow([result("uniform", 4.0)]).endswith(": none.")


def test_generation(monkeypatch, tmp_path, capsys):
    tasks = {name: generation.TASKS[name] for name in ("mnist", "t", "addition", "faces")}
    monkeypatch.setattr(generation, "TASKS", tasks)
    generation.main(["--rounds=1", f"--json={tmp_path / 'g.json'}"])
    assert "| addition |" in capsys.readouterr().out
    assert set(record(tmp_path / "g.json")["times"]) == set(tasks)


@pytest.mark.slow
def test_scaling(monkeypatch, tmp_path, capsys):
    points = [scaling.Point(batch=2, devices=2, types=1, side=20)]
    monkeypatch.setattr(scaling, "points", lambda: points)
    scaling.main(["--rounds=1", f"--json={tmp_path / 's.json'}"])
    assert "| 20x20 |" in capsys.readouterr().out
    (result,) = record(tmp_path / "s.json")["results"]
    assert result["devices"] == 2
    assert result["peak_bytes"] > 1e6


def test_run_names_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        run.main(["network"])
    assert "'network': choose from networks, " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["convolutions", "generation", "routing", "scaling", "run"])
def test_the_place_of_the_figures_is_looked_at_first(name, tmp_path, capsys, monkeypatch):
    benchmark = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(benchmark, "measure", None, raising=False)  # nothing may be timed
    monkeypatch.setattr(subprocess, "run", None)
    (tmp_path / "file").write_text("in the way")
    flag = "--folder" if name == "run" else "--json"
    for place, said in (
        (tmp_path / "file" / "x", "cannot be written"),
        ("", "is empty"),
        ("~nobody_of_this_name/x", "write the path out"),
    ):
        with pytest.raises(SystemExit) as stop:
            benchmark.main([f"{flag}={place}"])
        assert stop.value.code == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"error: argument {flag}: " in error
        assert said in error


@pytest.mark.parametrize("rounds", ["0", "-1", "many", "1.5"])
def test_turns_are_counted_from_one(rounds, capsys):
    with pytest.raises(SystemExit):
        routing.main([f"--rounds={rounds}"])
    assert f"argument --rounds: {rounds}: must be a whole number" in capsys.readouterr().err


def test_run_makes_its_folder_and_goes_on_past_what_fails(tmp_path, monkeypatch, capfd):
    asked = []

    def fails(command):
        asked.append(command)
        name = command[2].rpartition(".")[2]
        return subprocess.CompletedProcess(command, 3 * (name == "routing"))

    monkeypatch.setattr(subprocess, "run", fails)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SystemExit, match=r"error: routing \(status 3\) failed"):
        run.main(["--folder=~/new/one", "routing", "sampling", "sampling"])
    assert (tmp_path / "new" / "one").is_dir()
    folder = tmp_path / "new" / "one"
    assert [command[-1] for command in asked] == [
        f"--json={folder / 'routing.json'}",
        f"--json={folder / 'sampling.json'}",
    ]


def test_a_point_that_fails_is_named(monkeypatch):
    def fails(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "lines\nout of memory\n")

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(SystemExit, match=r"error: Point\(batch=7.*status 1: out of memory"):
        scaling.measure_apart(scaling.Point(batch=7), 1)


@pytest.mark.parametrize("point", ["", "[]", "3", '{"batch": 0}', '{"size": 1}', '{"batch": "2"}'])
def test_a_point_that_is_none_is_refused(point, capsys):
    with pytest.raises(SystemExit):
        scaling.main([f"--point={point}"])
    assert "argument --point: invalid" in capsys.readouterr().err
