"""Packs an evaluation's folder, or a folder of final records of runs, into a study.

    python -m evaluation.results pack reports/mnist results/robustness

Leaves README.md, records.jsonl and outcomes.npz in the study; figures/ stays as it is. A study that
is there is replaced.
"""

import argparse
from collections.abc import Sequence

from common import commands
from common.errors import UserError
from common.files import expand, writable_folder, write_bytes, write_text
from evaluation.comparison.study import FILES
from evaluation.reports.study import page
from evaluation.results.pack import read_records, read_trainings, write_records, write_trainings


def main(arguments: Sequence[str]) -> None:
    """Does what the command line asks for."""
    parser = argparse.ArgumentParser("python -m evaluation.results", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["pack"])
    parser.add_argument("reports", help="has records/ of evaluate.py, or NAME.json of runs")
    parser.add_argument("study", help="folder that gets the files")
    chosen = parser.parse_args(arguments[1:])
    source = expand(chosen.reports, "REPORTS")
    records = read_records(source)
    trainings = [] if records else read_trainings(source)
    if not records and not trainings:
        raise UserError(f"{chosen.reports}: no records of evaluate.py or of runs")
    study = writable_folder(chosen.study, "STUDY")
    if records:
        write_records(records, study)
    else:
        write_trainings(trainings, study)
    for name in FILES:
        if (source / name).is_file():
            write_bytes(study / name, (source / name).read_bytes())
    write_text(study / "README.md", page(study))
    print(f"packed {len(records) or len(trainings)} records into {study}")


if __name__ == "__main__":
    commands.run(main)
