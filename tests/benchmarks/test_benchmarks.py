"""Every benchmark runs, at sizes that say nothing about speed."""

import json

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


def test_the_plain_routing_is_the_same_function():
    capsules = jax.random.normal(jax.random.key(0), (2, 6, 8))
    kernel = jax.random.normal(jax.random.key(1), (6, 8, 10, 16)) / 10.0
    np.testing.assert_allclose(
        routing.our_poses(capsules, kernel), routing.plain_poses(capsules, kernel), atol=1e-6
    )


def test_routing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(routing, "BATCH", 2)
    monkeypatch.setattr(routing, "IN_CAPSULES", (6,))
    routing.main(["--rounds=1", f"--json={tmp_path / 'r.json'}"])
    assert "plain / ours" in capsys.readouterr().out
    assert len(record(tmp_path / "r.json")["results"]) == len(routing.DIRECTIONS)


def test_generation(monkeypatch, tmp_path, capsys):
    tasks = {name: generation.TASKS[name] for name in ("mnist", "t", "addition", "faces")}
    monkeypatch.setattr(generation, "TASKS", tasks)
    generation.main(["--rounds=1", f"--json={tmp_path / 'g.json'}"])
    assert "| addition |" in capsys.readouterr().out
    assert set(record(tmp_path / "g.json")["times"]) == set(tasks)


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
