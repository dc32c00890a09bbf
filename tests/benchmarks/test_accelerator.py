"""The benchmark of accelerators, at sizes that say nothing about speed."""

import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import routing
from benchmarks.accelerator import correctness, items, report
from benchmarks.accelerator import session as sessions
from benchmarks.accelerator.session import Session, Subject
from common.errors import UserError

command = importlib.import_module("benchmarks.accelerator.__main__")
ABOUT = {"device": "a card", "revision": "1"}


class Clock:
    def __init__(self):
        self.seconds = 0.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("training.clock.time.perf_counter", lambda: clock.seconds)
    return clock


def takes(clock, seconds, **found):
    def measure():
        clock.seconds += seconds
        return found

    return measure


def lines(folder):
    return [json.loads(line) for line in (folder / "findings.jsonl").read_text().splitlines()]


def test_it_runs_at_small_sizes(tmp_path, capsys):
    command.main(["--sizes=small", "--minutes=100", f"--folder={tmp_path}"])
    printed = capsys.readouterr()
    assert (tmp_path / "report.md").read_text() == printed.out.removesuffix("\n")
    assert "Not measured" not in printed.out
    found = {(line["kind"], line["name"], line["precision"]): line for line in lines(tmp_path)}
    assert {kind for kind, *_ in found} >= {"matrix rate", "correctness", "network", "routing"}
    assert all(line["device"] and line["versions"]["jax"] for line in found.values())
    assert found["matrix rate", "product", "bfloat16"]["TFLOP/s"] > 0
    for name in ("uniform", "bilinear, gather"):
        errors = found["correctness", name, "all"]
        # On CPUs float32 is float32 at any setting; one in 16 million is its rounding.
        assert 0 < errors["gradients, float32"] == errors["gradients, default"] < 1e-5
        assert 0 < errors["outputs, float32"] == errors["outputs, default"] < 1e-5
    for task in ("training", "inference"):
        assert found["network", "capsnet", "TF32"][f"{task} images/s"] > 0
    work = found["arithmetic", "capsnet", "all"]
    # The convolutions alone: 81 products for each of 12 x 12 x 8 and, times 8, 1 x 1 x 16 numbers.
    assert work["inference FLOP"] > 2 * 81 * (12 * 12 * 8 + 8 * 16)
    assert work["training FLOP"] > 2 * work["inference FLOP"]
    assert found["routing", "uniform", "TF32"]["forward + gradients plain / ours"] > 0


def test_errors_are_against_float64():
    def rounds(values, weights):
        share = 0.01 if values.dtype == jnp.float32 else 0.0
        return values * (1.0 + share) + 0.0 * jnp.sum(weights["w"])

    errors = correctness.measure_errors(rounds, np.arange(4.0), {"w": np.ones(2)})
    assert errors["outputs, float32"] == pytest.approx(0.01, rel=1e-3)
    # Of (1 + s)^2 x^2 / 2, the derivative grows by both factors.
    assert errors["gradients, default"] == pytest.approx(1.01**2 - 1, rel=1e-3)


def test_the_weights_of_a_routing_are_compared_too():
    errors = correctness.measure_capsules("self_routing", 12)
    assert all(0 < error < 1e-5 for error in errors.values())


def test_every_routing_and_sampler_is_measured():
    assert set(items.SIZES["full"].routings) == set(routing.ROUTINGS)
    assert len(items.SIZES["full"].samplers) == 9
    settings = list(items.SIZES["full"].settings())
    assert settings[:2] == [(128, "TF32"), (128, "bfloat16")]
    assert len(set(settings)) == 15
    timed = items.SIZES["full"].timed()
    assert timed["capsnet"].takes("bfloat16")
    assert not timed["stn_svhn"].takes("bfloat16")
    assert timed["stn_svhn"].takes("TF32")


def test_what_takes_longer_than_there_is_time_is_left_out(tmp_path, clock, capsys):
    session = Session(2.0, tmp_path, ABOUT)
    session.attempt(Subject("network", "a"), takes(clock, 50.0, speed=3.0))
    session.attempt(Subject("network", "b"), takes(clock, 1.0), keep=0.1)  # 75 of 58 s
    session.attempt(Subject("routing", "c"), takes(clock, 20.0))  # nothing is known of it: 30 s
    session.attempt(Subject("network", "a", batch=2), takes(clock, 1.0))  # 75 of 50 s
    assert session.seconds_left == 50.0
    assert [line["name"] for line in lines(tmp_path)] == ["a", "c"]
    assert lines(tmp_path)[0] == {
        **ABOUT,
        "kind": "network",
        "name": "a",
        "precision": "all",
        "batch": 0,
        "speed": 3.0,
        "seconds": 50.0,
    }
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "[  70 s left] network: a, all: speed 3, seconds 50"
    assert said[1] == "[  70 s left] network: b, all: skipped takes about 75 s of 58 s left"
    skipped = {Subject("network", "b"): session.findings[Subject("network", "b")]}
    page = report.make_report(skipped, ABOUT)
    assert "- network: b, all: skipped takes about 75 s of 58 s left" in page


def test_what_fails_is_one_line(tmp_path, clock):
    def fails():
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nand a trace")

    session = Session(2.0, tmp_path, ABOUT)
    session.attempt(Subject("network", "a"), fails)
    assert lines(tmp_path)[0]["error"] == "RuntimeError: RESOURCE_EXHAUSTED: out of memory"


def test_the_next_session_goes_on(tmp_path, clock):
    Session(2.0, tmp_path, ABOUT).attempt(Subject("network", "a"), takes(clock, 1.0, speed=3.0))
    with (tmp_path / sessions.FINDINGS).open("a") as file:
        file.write('{"device": "a ca')  # killed
    session = Session(2.0, tmp_path, ABOUT)
    session.attempt(Subject("network", "a"), takes(clock, 1.0, speed=4.0))
    session.attempt(Subject("network", "b"), takes(clock, 1.0, speed=5.0))
    assert [line["speed"] for line in lines(tmp_path)] == [3.0, 5.0]
    other = Session(2.0, tmp_path, {**ABOUT, "device": "another card"})
    assert other.findings == {}


def test_damaged_findings_are_named(tmp_path):
    (tmp_path / sessions.FINDINGS).write_text("{}\n")
    with pytest.raises(UserError, match=r"findings\.jsonl is damaged"):
        Session(2.0, tmp_path, ABOUT)


def test_speeds_are_shares_of_the_matrix_rate_and_beside_pytorchs():
    figures = {
        f"{task} {what}": number
        for task in ("training", "inference")
        for what, number in (("images/s", 1000.0), ("compile s", 2.0))
    }
    peer = {"training images/s": 400.0, "inference images/s": 2000.0}
    findings = {
        Subject("matrix rate", "product", "TF32"): {"TFLOP/s": 50.0},
        Subject("arithmetic", "a"): {"training FLOP": 5e9, "inference FLOP": 1e9},
        Subject("network", "a", "TF32", 128): figures,
        Subject("PyTorch", "a", "TF32", 128): peer,
    }
    page = report.make_report(findings, ABOUT)
    (row,) = [line for line in page.splitlines() if line.startswith("| a ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:7] == ["1,000", "10.0 %", "2.0", "2.50"]
    assert cells[10] == "0.50"


@pytest.mark.parametrize("minutes", ["0", "nan", "-1"])
def test_minutes_are_positive(minutes, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main([f"--minutes={minutes}", f"--folder={tmp_path}"])
    assert f"argument --minutes: {minutes}: must be positive" in capsys.readouterr().err
