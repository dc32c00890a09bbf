"""What records that are already there say, without evaluating anything again.

    python -m evaluation.reports results/robustness
    python -m evaluation.reports results/robustness clean rotation
    python -m evaluation.reports results/robustness --out reports/robustness

    python -m evaluation.reports results/robustness --control mnist:capsnet

Prints what comparisons with the control came out as, verdicts and tables, of all suites or of those
that are named; with `--out` writes the whole report, but for the sample images, which are not in
records. Without a control a study's own contrasts count, else the second of two models is it.
"""

from collections.abc import Sequence

from common import commands
from common.errors import UserError
from common.files import expand, writable_folder
from evaluation.comparison.evidence import find_evidence
from evaluation.comparison.study import read_diverged, read_study
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports import write_report
from evaluation.reports.markdown import only, summary, title
from evaluation.results.earlier_schemas import current
from evaluation.results.pack import read_records


def main(arguments: Sequence[str]) -> None:
    """Prints or writes what the command line asks for."""
    parser = commands.Parser("-m evaluation.reports", description=__doc__)
    parser.add_argument("folder", help="a study, or what evaluate.py --out leaves")
    parser.add_argument("suites", nargs="*", help="whose rows are printed; all by default")
    parser.add_argument("--control", help="model that every other is compared with")
    parser.add_argument("--out", help="folder for a report of all suites")
    chosen = parser.parse_args(arguments[1:])
    folder = expand(chosen.folder, "FOLDER")
    records = read_records(folder)
    if not records:
        raise UserError(f"{chosen.folder}: no records/ with results of evaluate.py")
    study = None if chosen.control else read_study(folder)
    stated = Stated(control=chosen.control)
    if study:
        evidence = find_evidence(study, records, read_diverged(folder))
        records, stated = evidence.records, evidence.stated
    names = [current(name) for name in chosen.suites]
    if unknown := set(names) - {record.suite for record in records}:
        raise UserError(f"{chosen.folder}: no results of {', '.join(sorted(unknown))}")
    models = dict.fromkeys(record.provenance.model for record in records)
    if chosen.control not in (None, *models):
        raise UserError(f"--control={chosen.control}: is none of the models {', '.join(models)}")
    out = None if chosen.out is None else writable_folder(chosen.out, "--out")
    tables = tabulate([record for record in records if record.results], stated)
    print("\n\n".join(f"{title(table)}\n\n{summary(only(table, names))}" for table in tables))
    if out is not None:
        write_report(records, out, examples={}, stated=stated)
        print(f"\nwrote {out / 'report.html'}")


if __name__ == "__main__":
    commands.run(main)
