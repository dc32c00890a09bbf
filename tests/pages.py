"""README.md and the pages below docs/: what stands in them, and what fills their tables.

    python -m tests.pages

writes every table that stands between two marks anew, and docs/configurations.md.
"""

import functools
import json
import re

from benchmarks import networks, routing, scaling
from common.tables import code, markdown_table
from configs.__main__ import page
from evaluation import suites
from evaluation.comparison.evidence import find_evidence
from evaluation.comparison.study import read_diverged, read_study
from evaluation.comparison.tables import tabulate
from evaluation.reports.learning_curves import summarise_learning_curves
from evaluation.reports.markdown import (
    answer,
    summarise_headlines,
    summarise_shifts,
    verdict_table,
)
from evaluation.reports.trainings import summarise, summarise_budgets
from evaluation.results.pack import read_records
from evaluation.results.result import show_interval, show_value
from evaluation.results.schema import results_from_json
from tests.conftest import ROOT
from tests.test_rooms import ARROWS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGURATIONS = ROOT / "docs" / "configurations.md"
_RESULTS = ROOT / "results"
# A mark, what stands between, and the same mark with a slash.
_TABLE = re.compile(r"<!-- (?P<name>\w+) -->\n(?P<table>.*?)<!-- /(?P=name) -->", re.DOTALL)
_MAPS = ("rotation", "scale", "shear", "affine", "perspective", "translation")
_ATTACKED = ("robust accuracy", "targeted attack success rate", "false alarm rate")
_DETECTED = ("detection rate", "undetected attack success rate")


def _speed(benchmark, name=None):
    name = name or benchmark.__name__.rpartition(".")[2]
    record = json.loads((_RESULTS / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))
    return benchmark.make_table(record["results"])


def _suites():
    rows = [line.partition(" ") for line in suites.describe().splitlines()]
    lines = [f"| `{name}` | {line.strip()} |" for name, _, line in rows]
    return "\n".join(["| suite | measures |", "|---|---|", *lines])


def _arrows():
    lines = [
        f"| `{room}` | {', '.join(f'`{other}`' for other in others) or 'none'} |"
        for room, others in ARROWS.items()
    ]
    return "\n".join(["| room | rooms and modules that it may import |", "|---|---|", *lines])


def _headlines(folder, suites=(), metrics=()):
    return functools.partial(summarise_headlines, _RESULTS / folder, suites, metrics)


@functools.cache
def _judged(name):
    """A study and its tables, of which several pages have parts."""
    folder = _RESULTS / name
    study = read_study(folder)
    evidence = find_evidence(study, read_records(folder), read_diverged(folder))
    return study, tabulate(evidence.records, evidence.stated)


def _studies():
    """The question of every study, and what came out of it, a line each."""
    names = sorted(path.parent.name for path in _RESULTS.glob("*/study.json"))
    lines = []
    for study, tables in map(_judged, names):
        lines.append(" ".join([f"- *{study.question}*", *map(answer, tables)]))
    return "\n".join(lines)


def _study(name):
    """What came out of a study, in words, and its verdicts."""
    _, tables = _judged(name)
    return "\n\n".join(part for table in tables for part in (answer(table), verdict_table(table)))


def _zoo():
    rows = []
    for file in sorted((ROOT / "zoo").glob("*/record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        (clean,) = results_from_json(record)
        size = sum(each.stat().st_size for each in file.parent.iterdir())
        rows.append(
            {
                "model": code(f"zoo:{file.parent.name}"),
                "configuration": code(record["name"]),
                "parameters": f"{record['parameters']:,}",
                "test accuracy": show_value(clean.value, clean.metric.unit),
                clean.interval_method: show_interval(clean.interval, clean.metric.unit),
                "size": f"{size / 1e6:.2f} MB",
            }
        )
    return markdown_table(rows)


TABLES = {
    "headlines": _headlines("robustness", ("clean", "affine", "rotation", "translation")),
    "results": functools.partial(summarise, _RESULTS / "single_runs"),
    "addition": functools.partial(summarise, _RESULTS / "addition"),
    "transformers": functools.partial(summarise_budgets, _RESULTS / "transformers"),
    "clean": _headlines("clean", ("clean", "affine")),
    "robustness": _headlines("robustness", ("clean", *_MAPS, "elastic", "spatial_adversary")),
    "cost": _headlines("cost"),
    "matched": _headlines("matched", ("clean", "affine")),
    "faces": _headlines("faces", metrics=("accuracy", "false-positive rate", "AUROC")),
    "filters": functools.partial(_study, "small_shifts"),
    "rotated_mnist": functools.partial(_study, "rotated_mnist"),
    "viewpoints": functools.partial(_study, "viewpoints"),
    "affnist": functools.partial(_study, "affnist"),
    "heads": functools.partial(_study, "routing"),
    "invariance": functools.partial(_study, "invariance"),
    "multimnist": _headlines("multimnist", ("clean", "overlaps")),
    "studies_in_short": _studies,
    "pooling": functools.partial(summarise_shifts, _RESULTS / "pooling"),
    "depth_and_stride": functools.partial(summarise_shifts, _RESULTS / "depth_and_stride"),
    "small_shifts": functools.partial(summarise_shifts, _RESULTS / "robustness"),
    "few_examples": functools.partial(summarise_learning_curves, _RESULTS / "few_examples"),
    "adversarial": _headlines("adversarial", metrics=(*_ATTACKED, *_DETECTED)),
    "pose": _headlines("pose", metrics=("R2 within classes",)),
    "networks": functools.partial(_speed, networks),
    "newer_networks": functools.partial(_speed, networks, "newer_networks"),
    "routing": functools.partial(_speed, routing),
    "scaling": functools.partial(_speed, scaling),
    "zoo": _zoo,
    "suites": _suites,
    "arrows": _arrows,
}
"""What makes each table, by its mark."""


def tables():
    """The tables of all pages: a list of page, mark and text."""
    return [
        (path, found["name"], found["table"].strip("\n"))
        for path in PAGES
        for found in _TABLE.finditer(path.read_text(encoding="utf-8"))
    ]


def by_hand(path):
    """What is not generated on a page."""
    text = path.read_text(encoding="utf-8")
    return "" if path == CONFIGURATIONS else _TABLE.sub("", text)


def python_blocks(path):
    """The fenced blocks of Python on a page."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(path):
    """The command lines on a page, each as one line without the backslashes at line ends."""
    text = re.sub(r" \\\n +", " ", path.read_text(encoding="utf-8"))
    lines = re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    steps = [step.strip() for line in lines for step in line.split("&&")]
    return [step for step in steps if step.startswith("python ")]


def flowing(path):
    """A page in one line, without the marks of list items."""
    text = re.sub(r"^- ", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return " ".join(text.split())


def main():
    """Writes every table and the page of configurations anew."""
    CONFIGURATIONS.write_text(page(), encoding="utf-8")
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        path.write_text(_TABLE.sub(_filled, text), encoding="utf-8")


def _filled(found):
    name = found["name"]
    return f"<!-- {name} -->\n{TABLES[name]()}\n<!-- /{name} -->"


if __name__ == "__main__":
    main()
