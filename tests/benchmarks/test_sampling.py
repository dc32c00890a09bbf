import importlib.util
import json

import numpy as np
import pytest

from benchmarks import sampling


@pytest.mark.parametrize("direction", sampling.DIRECTIONS)
def test_all_contenders_compute_the_same(direction):
    contenders = sampling.make_contenders(direction, side=6, batch=2)
    outputs = {
        name: [
            np.asarray(part).reshape(2, -1) for part in (call() if "+" in direction else [call()])
        ]
        for name, call in contenders.items()
    }
    for parts in outputs.values():
        for part, expected in zip(parts, outputs["gather"], strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-4)


def test_it_prints_a_table_and_writes_the_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sampling, "SIDES", (5,))
    monkeypatch.setattr(sampling, "BATCH", 2)
    path = tmp_path / "sampling.json"
    sampling.main(["--rounds=1", f"--json={path}"])
    assert "| 5x5  | forward + gradient of theta |" in capsys.readouterr().out
    record = json.loads(path.read_text())
    assert record["command"][-1] == f"--json={path}"
    assert record["versions"]["jax"]
    assert len(record["results"]) == 2
    for result in record["results"]:
        for times in result["times"].values():
            assert 0 < times["minimum_ms"] <= times["median_ms"]


def test_without_pytorch_its_column_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(sampling, "SIDES", (4,))
    monkeypatch.setattr(sampling, "BATCH", 1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    sampling.main(["--rounds=1"])
    printed = capsys.readouterr().out
    assert "PyTorch is not installed" in printed
    assert "auto / PyTorch" not in printed
