"""What records that are already there say, without evaluating anything again.

    python -m evaluation.reports results/robustness
    python -m evaluation.reports results/robustness clean rotation
    python -m evaluation.reports results/robustness --out reports/robustness

Prints the tables, of all suites or of those that are named; with `--out` writes the whole report,
but for the sample images, which are not in records.
"""

import argparse
from collections.abc import Sequence

from common import commands
from common.errors import UserError
from common.files import expand, writable_folder
from evaluation.reports import write_report
from evaluation.reports.markdown import summarise_headlines
from evaluation.results.earlier_schemas import current
from evaluation.results.pack import read_records


def main(arguments: Sequence[str]) -> None:
    """Prints or writes what the command line asks for."""
    parser = argparse.ArgumentParser("python -m evaluation.reports", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", help="a study, or what evaluate.py --out leaves")
    parser.add_argument("suites", nargs="*", help="whose rows are printed; all by default")
    parser.add_argument("--out", help="folder for a report of all suites")
    chosen = parser.parse_args(arguments[1:])
    folder = expand(chosen.folder, "FOLDER")
    records = read_records(folder)
    if not records:
        raise UserError(f"{chosen.folder}: no records/ with results of evaluate.py")
    names = [current(name) for name in chosen.suites]
    if unknown := set(names) - {record.suite for record in records}:
        raise UserError(f"{chosen.folder}: no results of {', '.join(sorted(unknown))}")
    out = None if chosen.out is None else writable_folder(chosen.out, "--out")
    print(summarise_headlines(folder, names))
    if out is not None:
        write_report(records, out, examples={})
        print(f"\nwrote {out / 'report.html'}")


if __name__ == "__main__":
    commands.run(main)
