"""The page of a study: its tables, from its records alone."""

import pathlib
from collections.abc import Sequence

from common.errors import UserError
from common.stored import damaged
from evaluation.comparison.tables import tabulate
from evaluation.reports import learning_curves, trainings
from evaluation.reports.markdown import overview, title
from evaluation.results.pack import read_records, read_trainings
from evaluation.results.result import Record


def page(folder: pathlib.Path) -> str:
    """README.md of a study, as Markdown.

    Args:
        folder: See `evaluation.results.pack`.

    Raises:
        UserError: if there are no records, or one is damaged.
    """
    records = read_records(folder)
    found = [] if records else read_trainings(folder)
    if not records and not found:
        raise UserError(f"{folder}: no records of evaluations or of runs")
    parts = [f"# {folder.name.replace('_', ' ').capitalize()}"]
    figures = sorted((folder / "figures").glob("*.png"))
    parts += [f"![{_caption(path)}](figures/{path.name})" for path in figures]
    parts += _comparisons(records) if records else _trainings(found, folder)
    count = f"{len(records)} records" if records else f"{len(found)} trainings"
    more = "; all rows: `python -m evaluation.reports STUDY`" if records else ""
    parts.append(f"Derived from the {count} in `records.jsonl`{more}.")
    return "\n\n".join(parts) + "\n"


def _comparisons(records: list[Record]) -> list[str]:
    try:
        return [learning_curves.summary(learning_curves.learning_curves(records))]
    except UserError:  # of one number of training images each
        tables = tabulate([record for record in records if record.results])
        return [part for table in tables for part in (title(table), overview(table))]


def _trainings(found: Sequence[trainings.Training], folder: pathlib.Path) -> list[str]:
    with damaged(folder):
        return trainings.tables(found)


def _caption(path: pathlib.Path) -> str:
    return path.stem.replace("_", " ").capitalize()
