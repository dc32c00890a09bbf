"""Evaluates trained runs: `python evaluate.py runs/capsnet_mnist runs/cnn_mnist`.

Restores a checkpoint of each run, runs suites on it and prints one table; a folder of runs stands
for all of them. What cannot be measured is named, and the rest goes on. With `--out=FOLDER` it
keeps a record of every suite, goes on where it was interrupted, and writes a report of all records
in the folder: `report.html`, `report.md` and figures. `python evaluate.py list` names the suites.
"""

import sys

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h", "list", stream=sys.stderr)

from collections.abc import Callable, Iterator, Sequence

import configs
from common.errors import printable
from evaluation.comparison.tables import tabulate
from evaluation.reports.formatting import name_table
from evaluation.reports.markdown import overview
from evaluation.runner import Subject, measure
from inference import subjects
from training import process
from training.run.finding import find_runs, name_runs


def main(arguments: Sequence[str]) -> None:
    """Evaluates every run and model that the command line names."""
    process.set_up()
    request = configs.parse_evaluation(arguments, __doc__ or "")
    found = measure(list(_subjects(request)), request.suites, out=request.out)
    for table in tabulate([record for record in found.records if record.results]):
        print(f"{printable(name_table(table))}\n\n{overview(table)}")
    if found.report is not None:
        print(f"wrote {found.report}")
    found.failures.end()


def _subjects(request: configs.Request) -> Iterator[Callable[[], Subject]]:
    """Functions that make the subjects, those of runs first."""
    common = {"data_dir": request.data_dir, "configurations": configs.load}
    chosen = {"checkpoint": request.checkpoint, "match_accuracy": request.match_accuracy}

    def asked(make: Callable[..., Subject], *names, **known) -> Callable[[], Subject]:
        other = (request.test_data, request.limit, request.data_dir)
        return lambda: subjects.elsewhere(make(*names, **common, **known), *other)

    folders = find_runs(request.runs)
    for folder, name in zip(folders, name_runs(folders), strict=True):
        yield asked(subjects.of_run, folder, name, describe=configs.describe, **chosen)
    for name in request.models:
        yield asked(subjects.of_custom_model, name, request.data)


if __name__ == "__main__":
    commands.run(main, stopped="stopped; with --out, the same command goes on where it was")
