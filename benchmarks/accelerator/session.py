"""A measuring session of limited time, of which every finding is on disk as soon as it is there."""

import gc
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from common.errors import first_line, printable
from common.files import write_text
from common.stored import damaged
from training.clock import Stopwatch

FINDINGS = "findings.jsonl"
# Of the first item of a kind, for nothing like it was measured before.
_FIRST_SECONDS = 30.0
# An item may take so much longer than the longest like it.
_MARGIN = 1.5


class Subject(NamedTuple):
    """The subject of an item.

    Attributes:
        kind: "matrix rate", "correctness", "arithmetic", "network", "PyTorch" or "routing".
        name: Of the network, routing or sampler.
        precision: Of products, a name of `benchmarks.accelerator.precision.PRECISIONS`; "all" for
            an item about all of them.
        batch: Images; 0 where there are none.
    """

    kind: str
    name: str
    precision: str = "all"
    batch: int = 0

    def __str__(self) -> str:
        batch = f", batch {self.batch}" if self.batch else ""
        return f"{self.kind}: {self.name}, {self.precision}{batch}"


class Session:
    """Time that is left, and a folder of findings, those of earlier sessions too.

    Args:
        minutes: Length of the session.
        folder: That keeps the findings; it exists.
        about: What every finding states: device and revision. Findings that say the same
            are not measured again.

    Raises:
        UserError: if the folder's findings are damaged.
    """

    def __init__(self, minutes: float, folder: pathlib.Path, about: dict[str, Any]):
        self.minutes = minutes
        self.about = about
        self.findings: dict[Subject, dict[str, Any]] = {}
        self._path = folder / FINDINGS
        self._watch = Stopwatch()
        self._seconds: dict[tuple[str, ...], float] = {}
        self._read()

    @property
    def seconds_left(self) -> float:
        """Until the session should end; below zero after that."""
        return 60.0 * self.minutes - self._watch.seconds

    def attempt(
        self, subject: Subject, measure: Callable[[], dict[str, Any]], *, keep: float = 0.0
    ) -> None:
        """Measures an item, unless that is done or would take longer than there is time.

        What fails is a finding too, in one line.

        Args:
            subject: What is measured.
            measure: Returns the item's figures.
            keep: Share of the session, in [0, 1], that has to be left for other items.
        """
        if subject in self.findings:
            return
        estimate = self._estimate(subject)
        spare = self.seconds_left - keep * 60.0 * self.minutes
        if estimate > spare:
            self._enter(subject, {"skipped": f"takes about {estimate:.0f} s of {spare:.0f} s left"})
            return
        watch = Stopwatch()
        try:
            found = measure()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {printable(first_line(error))[:300]}"}
        gc.collect()  # modules refer to themselves, and would keep the device's memory
        self._seconds[subject.kind, subject.name] = watch.seconds
        longest = max(watch.seconds, self._seconds.get((subject.kind,), 0.0))
        self._seconds[subject.kind,] = longest
        self._enter(subject, {**found, "seconds": watch.seconds})

    def _estimate(self, subject: Subject) -> float:
        """Seconds of an item, by what the same took in other settings, or others of its kind."""
        for like in ((subject.kind, subject.name), (subject.kind,)):
            if like in self._seconds:
                return _MARGIN * self._seconds[like]
        return min(_FIRST_SECONDS, 6.0 * self.minutes)

    def _enter(self, subject: Subject, found: dict[str, Any]) -> None:
        self.findings[subject] = found
        if "skipped" not in found:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**self.about, **subject._asdict(), **found}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        left = f"[{max(self.seconds_left, 0.0):4.0f} s left]"
        print(f"{left} {subject}: {summarise(found)}", file=sys.stderr, flush=True)

    def _read(self) -> None:
        if not self._path.exists():
            return
        *lines, rest = self._path.read_text(encoding="utf-8").split("\n")
        if rest:  # of a session that was killed while it wrote
            write_text(self._path, "".join(f"{line}\n" for line in lines))
        with damaged(self._path):
            for line in lines:
                found = json.loads(line)
                subject = Subject(*(found.pop(field) for field in Subject._fields))
                if {key: found.pop(key) for key in self.about} == self.about:
                    self.findings[subject] = found


def summarise(found: dict[str, Any]) -> str:
    """Figures in one line, numbers to three digits."""
    return ", ".join(f"{name} {_shown(value)}" for name, value in found.items())


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def seconds_of(call: Callable[[], object], least: float) -> float:
    """The median time of a call that was warmed up, of at least three and `least` seconds.

    Args:
        call: Returns when its work is done.
        least: Seconds.
    """
    call()
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < least and len(taken) < 1000):
        start = time.perf_counter()
        call()
        # A coarse clock may not have moved; speeds are divided by this.
        taken.append(max(time.perf_counter() - start, 1e-9))
    return sorted(taken)[len(taken) // 2]
