"""Evaluates trained runs: `python evaluate.py runs/capsnet_mnist runs/cnn_mnist`.

Restores a checkpoint of each run (a folder of runs stands for all), runs the suites that `python
evaluate.py list` marks, or `--suites`, and prints what they show; what fails is named, and the rest
goes on. With `--out=FOLDER` it keeps every record, goes on where it was interrupted, and writes a
report of all records there: `report.html`, `report.md` and figures.
"""

import sys
from pathlib import Path

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h", "list", stream=sys.stderr)

from collections.abc import Callable, Iterator, Sequence

import configs
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports import terminal
from evaluation.runner import Subject, measure
from inference import subjects
from training import process
from training.run.finding import find_runs, name_runs


def main(arguments: Sequence[str]) -> None:
    """Evaluates every run and model that the command line names."""
    process.set_up()
    request = configs.parse_evaluation(arguments, __doc__ or "")
    folders, stated = find_runs(request.runs), Stated(control=request.control)
    known = request.describe, request.load
    subjects.check_control(request.control, folders, request.models, *known)
    makers = list(_subjects(request, folders))
    found = measure(makers, request.suites, out=request.out, stated=stated)
    for table in tabulate([record for record in found.records if record.results], stated):
        print(f"{terminal.show(table, found.report is not None)}\n")
    if found.report is not None:
        print(f"wrote {found.report}")
    found.failures.end()


def _subjects(request: configs.Request, folders: Sequence[Path]) -> Iterator[Callable[[], Subject]]:
    """Functions that make the subjects, those of runs first."""
    common = {"data_dir": request.data_dir, "configurations": request.load}
    chosen = {"checkpoint": request.checkpoint, "match_accuracy": request.match_accuracy}

    def asked(make: Callable[..., Subject], *names, **known) -> Callable[[], Subject]:
        other = (request.test_data, request.limit, request.data_dir)
        return lambda: subjects.elsewhere(make(*names, **common, **known), *other)

    for folder, name in zip(folders, name_runs(folders), strict=True):
        yield asked(subjects.of_run, folder, name, describe=request.describe, **chosen)
    for name in request.models:
        yield asked(subjects.of_custom_model, name, request.data)


if __name__ == "__main__":
    commands.run(main, stopped="stopped; with --out, the same command goes on where it was")
