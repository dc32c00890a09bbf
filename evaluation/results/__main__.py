"""Packs an evaluation's folder, or a folder of final records of runs, into a study, and back.

    python -m evaluation.results pack reports/mnist results/robustness
    python -m evaluation.results unpack results/small_shifts runs/studies/small_shifts

A study has README.md, records.jsonl and outcomes.npz; its figures/ stays as it is. One that is
there is replaced. From the records of evaluations that are unpacked, `evaluate.py` and `study.py`
go on.
"""

import pathlib
from collections.abc import Sequence

from common import commands
from common.errors import UserError
from common.files import expand, writable_folder, write_bytes, write_text
from evaluation.comparison.study import FILES, STUDY
from evaluation.reports.study import page
from evaluation.results.pack import read_records, read_trainings, write_records, write_trainings
from evaluation.results.store import RecordStore


def main(arguments: Sequence[str]) -> None:
    """Does what the command line asks for."""
    parser = commands.Parser("-m evaluation.results", description=__doc__)
    parser.add_argument("command", choices=["pack", "unpack"])
    parser.add_argument("source", help="has records/ of evaluate.py, NAME.json of runs, or a study")
    parser.add_argument("target", help="folder that gets the files")
    chosen = parser.parse_args(arguments[1:])
    source = expand(chosen.source, "SOURCE")
    work = pack if chosen.command == "pack" else unpack
    count = work(source, chosen.target)
    print(f"{chosen.command}ed {count} records into {chosen.target}")


def pack(source: pathlib.Path, target: str) -> int:
    """Packs the records in a folder into a study, and returns how many there are.

    Raises:
        UserError: if there are none, or one is damaged.
    """
    records = read_records(source)
    if not records and (source / STUDY).exists():
        raise UserError(f"{source}: a study without records; study.py makes them")
    trainings = [] if records else read_trainings(source)
    if not records and not trainings:
        raise UserError(f"{source}: no records of evaluate.py or of runs")
    study = writable_folder(target, "TARGET")
    if records:
        write_records(records, study)
    else:
        write_trainings(trainings, study)
    _copy_statement(source, study)
    write_text(study / "README.md", page(study))
    return len(records) or len(trainings)


def unpack(source: pathlib.Path, target: str) -> int:
    """Writes the records of a study as `evaluate.py` does, and returns how many there are.

    Raises:
        UserError: if there are none, or one is damaged, or the target has some already.
    """
    records = read_records(source)
    if not records:
        raise UserError(f"{source}: no records of evaluate.py")
    folder = writable_folder(target, "TARGET")
    store = RecordStore(folder)
    if store.folder.exists():
        raise UserError(f"{target} has records already; choose another TARGET")
    for record in records:
        store.add(record)
    _copy_statement(source, folder)
    return len(records)


def _copy_statement(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies what a study has beside its records; what only the target has is of earlier ones."""
    for name in FILES:
        if (source / name).is_file():
            write_bytes(target / name, (source / name).read_bytes())
        else:
            (target / name).unlink(missing_ok=True)


if __name__ == "__main__":
    commands.run(main)
