"""Measures in one call all that a GPU or a TPU should tell, the most important first.

    python -m benchmarks.accelerator --minutes 9 --folder runs/accelerator

The rate at which the device multiplies large matrices; errors of capsule networks of every routing
and of spatial transformers with every sampler, against float64 on the host; then training steps and
inference of every network, beside PyTorch on the same device where that is installed, and every
routing, for several batches and precisions. Every finding goes into `findings.jsonl` at once. What
would take longer than there is time is left out, and said; the same command in the same folder goes
on from there. `report.md` has the tables.
"""

import argparse
import contextlib
import functools
import math
import os
import sys

from benchmarks.accelerator.correctness import measure_capsules, measure_transformer
from benchmarks.accelerator.items import PEERED, SIZES, Sizes
from benchmarks.accelerator.precision import PRECISIONS, measure_matrix_rate
from benchmarks.accelerator.report import make_report
from benchmarks.accelerator.session import Session, Subject
from benchmarks.accelerator.speed import count_routing, has_peer_device, measure_routing
from benchmarks.reporting import describe_torch, place
from common.commands import steady_screen
from common.errors import UserError
from common.files import writable_folder, write_text
from evaluation.results.provenance import describe
from training import process

# Share of a session that errors leave to speeds.
_FOR_SPEED = 0.5


def measure_device(session: Session, sizes: Sizes) -> None:
    """Measures rates and errors."""
    for precision in PRECISIONS:
        measure = functools.partial(measure_matrix_rate, sizes.matrix, precision, sizes.least)
        session.attempt(Subject("matrix rate", "product", precision), measure)
    kinds = {measure_capsules: sizes.routings, measure_transformer: sizes.samplers}
    for measure, names in kinds.items():
        for name in names:
            errors = functools.partial(measure, name, sizes.side)
            session.attempt(Subject("correctness", name), errors, keep=_FOR_SPEED)


def measure_speed(session: Session, sizes: Sizes) -> None:
    """Times all networks and routings in one setting, then in the next."""
    networks, peered = sizes.timed(), PEERED if has_peer_device() else ()
    if not peered:
        print("No PyTorch here that can use this device.", file=sys.stderr)
    for batch, precision in sizes.settings():
        for name, network in networks.items():
            if network.takes(precision):
                subject = Subject("network", name, precision, batch)
                _time_network(session, sizes, network, subject, peered=name in peered)
        for name in sizes.routings:
            session.attempt(
                Subject("arithmetic", name),
                functools.partial(count_routing, name, sizes.in_capsules),
            )
            subject = Subject("routing", name, precision, batch)
            given = (subject, sizes.in_capsules, sizes.steps, sizes.least)
            session.attempt(subject, functools.partial(measure_routing, *given))


def _time_network(session, sizes, network, subject, *, peered):
    session.attempt(Subject("arithmetic", subject.name), network.count)
    contenders = {"network": network.measure}
    if peered:
        contenders["PyTorch"] = network.measure_peer
    for kind, measure in contenders.items():
        timed = functools.partial(measure, subject, sizes.steps, sizes.least)
        session.attempt(subject._replace(kind=kind), timed)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be positive")
    return minutes


def main(arguments: list[str] | None = None) -> None:
    """Measures until all is done or the time is over, and writes the tables."""
    steady_screen()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=_minutes, default=9.0, help="length of the session")
    parser.add_argument(
        "--folder", type=place(writable_folder), default="runs/accelerator", help="of the findings"
    )
    parser.add_argument("--sizes", choices=SIZES, default="full", help="small says that it runs")
    flags = parser.parse_args(arguments)
    # PyTorch needs a part of the device's memory, which JAX would else take whole.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    process.keep_freed_memory()
    machine = {
        name: describe()[name] for name in ("device", "platform", "versions", "git_revision")
    }
    about = {**machine, **describe_torch(), "sizes": flags.sizes}
    session = Session(flags.minutes, flags.folder, about)
    print(f"{about['device']}: {flags.minutes:g} minutes", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        measure_device(session, SIZES[flags.sizes])
        measure_speed(session, SIZES[flags.sizes])
    report = make_report(session.findings, about)
    write_text(flags.folder / "report.md", report)
    print(report)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
