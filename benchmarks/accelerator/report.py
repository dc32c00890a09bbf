"""Tables of a session's findings."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.accelerator.session import Subject, summarise
from benchmarks.programs import TASKS
from benchmarks.reporting import ragged_table
from benchmarks.routing import DIRECTIONS

Findings = Mapping[Subject, dict[str, Any]]
Row = dict[str, str]


def make_report(findings: Findings, about: Mapping[str, Any]) -> str:
    """A page of what was found, and of what was not measured.

    Args:
        findings: Of a `benchmarks.accelerator.session.Session`.
        about: What all findings have in common.
    """
    measured = {
        subject: found
        for subject, found in findings.items()
        if not found.keys() & {"skipped", "error"}
    }
    parts = [f"# {about['device']}", summarise(dict(about))]
    sections: dict[str, Callable[..., Row]] = {
        "matrix rate": _as_figures,
        "correctness": _as_figures,
        "network": _as_network,
        "routing": _as_routing,
    }
    for kind, as_row in sections.items():
        rows = [
            as_row(subject, found, measured)
            for subject, found in measured.items()
            if subject.kind == kind
        ]
        parts += [f"## {kind.capitalize()}", ragged_table(rows)] if rows else []
    left = [f"- {subject}: {summarise(found)}" for subject, found in findings.items()]
    left = [line for line in left if "skipped" in line or "error" in line]
    parts += ["## Not measured", "\n".join(left)] if left else []
    return "\n\n".join(parts) + "\n"


def _as_figures(subject: Subject, found: dict[str, Any], measured: Findings) -> Row:
    del measured
    figures = {name: f"{value:.2g}" for name, value in found.items() if name != "seconds"}
    return {"of": subject.name, "precision": subject.precision, **figures}


def _as_network(subject: Subject, found: dict[str, Any], measured: Findings) -> Row:
    row = _as_setting(subject)
    peer = measured.get(subject._replace(kind="PyTorch"))
    for task in TASKS:
        row |= _as_speed(task, subject, found, measured)
        if peer is not None:
            ratio = found[f"{task} images/s"] / peer[f"{task} images/s"]
            row[f"{task}, ours / PyTorch, speed"] = f"{ratio:.2f}"
    return row


def _as_routing(subject: Subject, found: dict[str, Any], measured: Findings) -> Row:
    row = _as_setting(subject)
    for direction in DIRECTIONS:
        row |= _as_speed(direction, subject, found, measured)
        row[f"{direction}, plain / ours, time"] = f"{found[f'{direction} plain / ours']:.2f}"
    return row


def _as_setting(subject: Subject) -> Row:
    return {"of": subject.name, "precision": subject.precision, "batch": str(subject.batch)}


def _as_speed(task: str, subject: Subject, found: dict[str, Any], measured: Findings) -> Row:
    row = {f"{task}, images/s": f"{found[f'{task} images/s']:,.0f}"}
    rate = measured.get(Subject("matrix rate", "product", subject.precision))
    work = measured.get(Subject("arithmetic", subject.name))
    if rate is not None and work is not None:
        share = 1e-12 * work[f"{task} FLOP"] * found[f"{task} images/s"] / rate["TFLOP/s"]
        row[f"{task}, of the matrix rate"] = f"{100.0 * share:.1f} %"
    return row | {f"{task}, compile s": f"{found[f'{task} compile s']:.1f}"}
