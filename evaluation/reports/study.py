"""The page of a study: its tables, from its records alone."""

import pathlib
from collections.abc import Sequence

from common.errors import UserError
from common.stored import damaged
from evaluation.comparison.evidence import Evidence, find_evidence
from evaluation.comparison.study import Study, read_arms, read_diverged, read_study
from evaluation.comparison.tables import Table, tabulate
from evaluation.reports import learning_curves, trainings, verdicts
from evaluation.reports.markdown import (
    answer,
    escape,
    escaped_table,
    overview,
    picture,
    title,
    verdict_table,
)
from evaluation.results.pack import read_records, read_trainings
from evaluation.results.result import Record

# Ends of the names of figures that show a table as a whole.
_WHOLE = ("_verdicts", "_every_training")


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
    study = read_study(folder)
    evidence = study and find_evidence(study, records, read_diverged(folder))
    counted = evidence.records if evidence else records
    tables = tabulate([r for r in counted if r.results], evidence and evidence.stated)
    parts = [f"# {escape(folder.name.replace('_', ' ').capitalize())}"]
    figures = sorted((folder / "figures").glob("*.png"))
    if study:
        parts += _answers(study, tables, figures)
    else:
        parts += map(_picture, figures)
        parts += _comparisons(records, tables) if records else _trainings(found, folder)
    if study and evidence:
        parts += [*_statement(study, folder), *_unfinished(evidence), *_machines(counted)]
    count = f"{len(records)} records" if records else f"{len(found)} trainings"
    more = "; all rows: `python -m evaluation.reports STUDY`" if records else ""
    parts.append(f"Derived from the {count} in `records.jsonl`{more}.")
    return "\n\n".join(parts) + "\n"


def _answers(study: Study, tables: Sequence[Table], figures: Sequence[pathlib.Path]) -> list[str]:
    """The question; of each table the verdicts in words, as pictures and as lines, and numbers."""
    whole = [path for path in figures if path.stem.endswith(_WHOLE)]
    parts = [f"**{escape(study.question)}**"]
    parts += map(answer, tables)
    parts += map(_picture, whole)
    for table in tables:
        parts += [verdict_table(table), title(table), overview(table)]
    return list(filter(None, parts))


def _statement(study: Study, folder: pathlib.Path) -> list[str]:
    """What was stated beforehand, and the arms beside each other."""
    seeds = ", ".join(map(str, study.seeds))
    stated = (
        f"Stated beforehand: the contrasts above, trainings with the seeds {seeds} of each arm, "
        f"and the margin. {verdicts.describe_margin(study.ratio)}."
    )
    if study.stated_later:
        stated += f" Stated later: {study.stated_later}."
    left_out = (f"{name} is left out: {reason}" for name, reason in read_diverged(folder).items())
    lines = "\n".join(f"- {escape(each)}" for each in left_out)
    return list(filter(None, ["## Arms", escape(stated), escaped_table(read_arms(folder)), lines]))


def _machines(records: Sequence[Record]) -> list[str]:
    """On which machines records were made, each with its trainings where there are several."""
    runs: dict[str, dict[str, None]] = {}
    for record in records:
        device = str(record.provenance.environment.get("device", "a machine that is not named"))
        runs.setdefault(device, {})[record.provenance.run] = None
    if len(runs) == 1:
        return [f"Evaluated on {escape(device)}." for device in runs]
    lines = [f"- On {device}: {', '.join(names)}" for device, names in runs.items()]
    return ["Evaluated:", "\n".join(map(escape, lines))]


def _unfinished(evidence: Evidence) -> list[str]:
    """What was stated and is not there, in a sentence."""
    missing = evidence.missing.items()
    texts = [f"{arm} (seeds {', '.join(map(str, seeds))})" for arm, seeds in missing]
    return [escape(f"Not evaluated: {'; '.join(texts)}.")] if texts else []


def _comparisons(records: list[Record], tables: Sequence[Table]) -> list[str]:
    try:
        return [learning_curves.summary(learning_curves.learning_curves(records))]
    except UserError:  # of one number of training images each
        return [part for table in tables for part in (title(table), overview(table))]


def _trainings(found: Sequence[trainings.Training], folder: pathlib.Path) -> list[str]:
    with damaged(folder):
        return trainings.tables(found)


def _picture(path: pathlib.Path) -> str:
    return picture(path.stem, path.stem.replace("_", " ").capitalize())
