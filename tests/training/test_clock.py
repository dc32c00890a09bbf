import itertools
import time

import pytest

from training.clock import Stopwatch, per_second


def stopwatch(monkeypatch, times):
    ticks = iter(times)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    return Stopwatch()


def test_time_adds_up_and_pauses_do_not_count(monkeypatch):
    watch = stopwatch(monkeypatch, [10.0, 12.0, 15.0, 115.0, 116.0])
    assert watch.seconds == 2.0
    watch.pause()  # at 15
    watch.resume()  # at 115
    assert watch.seconds == 6.0


def test_a_paused_watch_stands(monkeypatch):
    watch = stopwatch(monkeypatch, [0.0, 1.0])
    watch.pause()
    assert watch.seconds == watch.seconds == 1.0


def test_a_clock_that_jumps_back_takes_nothing_away(monkeypatch):
    watch = stopwatch(monkeypatch, [100.0, 103.0, 2.0, 3.5])
    found = [watch.seconds for _ in range(3)]
    assert found == [3.0, 3.0, 4.5]
    assert all(later >= earlier for earlier, later in itertools.pairwise(found))


@pytest.mark.parametrize(("seconds", "rate"), [(2.0, 5.0), (0.0, None), (-1.0, None)])
def test_a_rate_is_known_only_where_time_has_passed(seconds, rate):
    assert per_second(10, seconds) == rate
