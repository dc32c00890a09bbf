import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from training.interruption import Interrupted, stop_request

# Says when it listens, works for a while whatever comes, then saves and leaves.
_WORK = """
import signal, sys, time
from training.interruption import Interrupted, stop_request
for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
with stop_request() as stop:
    print("listens", flush=True)
    deadline = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < deadline:
        time.sleep(0.01)
    print("saved", flush=True)
    try:
        stop.raise_if_asked()
    except Interrupted as error:
        print(error)
        sys.exit(128 + error.signal_number)
"""


def work(seconds, numbers, ignored=()):
    """Sends signals to a process that works; returns its exit status and what it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORK, str(seconds), *ignored],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "listens\n"
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.005)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM] * 60,
        [signal.SIGHUP] * 60,
        [signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
        [signal.SIGHUP, *[signal.SIGTERM] * 10],
    ],
)
def test_however_many_signals_stop_once(numbers):
    status, output, errors = work(0.5, numbers)
    assert status == 128 + numbers[0]
    assert output == f"saved\nstopped by {signal.Signals(numbers[0]).name}\n"
    assert "Traceback" not in errors


def test_a_second_interrupt_leaves_at_once():
    start = time.monotonic()
    status, output, errors = work(30.0, [signal.SIGINT, signal.SIGTERM, signal.SIGINT])
    assert time.monotonic() - start < 20.0
    assert status == -signal.SIGINT
    assert output == ""
    assert errors.split("\n") == [
        "",
        "stopping once the steps under way are saved; Ctrl-C again leaves at once",
        "",
    ]


def test_a_hangup_that_is_ignored_stays_ignored():
    status, output, _ = work(0.2, [signal.SIGHUP] * 3, ignored=["SIGHUP"])  # as under nohup
    assert (status, output) == (0, "saved\n")


def test_processes_leave_together_though_one_is_asked(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        multihost_utils,
        "process_allgather",
        lambda own: np.stack([own, np.array(signal.SIGTERM)]),
    )
    with stop_request() as stop:
        assert stop.signal_number == 0
        with pytest.raises(Interrupted, match="SIGTERM"):
            stop.raise_if_asked()


def test_the_handlers_from_before_come_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with stop_request() as stop:
        stop.raise_if_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            stop.raise_if_asked()
    assert [signal.getsignal(number) for number in numbers] == before
