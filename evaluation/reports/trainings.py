"""The tables of the trainings in a folder: `python -m evaluation.reports.trainings FOLDER`."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from common import commands
from common.errors import UserError
from common.files import expand
from common.stored import damaged
from common.tables import code, markdown_table
from evaluation.results.pack import read_trainings
from evaluation.results.result import Result
from evaluation.results.schema import results_from_json

Training = Mapping[str, Any]
"""The final record of a run."""


def summarise(folder: pathlib.Path) -> str:
    """One row for each training of a folder, in their order, as a Markdown table.

    Args:
        folder: Has `records.jsonl`, or final records of runs (NAME.json).

    Raises:
        UserError: if there are none, or one is damaged.
    """
    with damaged(folder):
        return _table(_read(folder))


def tables(trainings: Sequence[Training]) -> list[str]:
    """The table of trainings, and where networks have several budgets that of budgets."""
    several = len({training["name"] for training in trainings}) < len(trainings)
    return [_table(trainings), *([_budget_table(trainings)] if several else [])]


def _table(trainings: Sequence[Training]) -> str:
    return markdown_table(
        [_row(training, _of_suite(training, "clean")[0]) for training in trainings]
    )


def _read(folder: pathlib.Path) -> Sequence[Training]:
    found = read_trainings(folder)
    if not found:
        raise UserError(f"{folder}: no records of runs (records.jsonl, or NAME.json)")
    return found


def _of_suite(training: Training, suite: str) -> list[Result]:
    return [result for result in results_from_json(training) if result.suite == suite]


def _row(training: Training, clean: Result) -> dict[str, str]:
    low, high = clean.interval
    return {
        "config": code(training["name"]),
        "parameters": f"{training['parameters']:,}",
        "test accuracy": f"{100 * clean.value:.2f} %",
        clean.interval_method: f"{100 * low:.2f} to {100 * high:.2f} %",
        "steps": f"{training['step']:,}",
        "training": _minutes(training["train_seconds"]),
        "images/s": f"{training['images_per_second']:,.0f}",
        "device": training["environment"]["device"],
    }


def summarise_budgets(folder: pathlib.Path) -> str:
    """Test errors of networks that were trained for more than one budget, as a Markdown table.

    Args:
        folder: Records of `benchmarks.transformers`: of each name, the one that saw the fewest
            images has the budget of equal images, the one that saw the most that of equal time.
            They are one and the same for the slowest network.

    Returns:
        One row for each name: task by task, and within a task in the order of the errors.

    Raises:
        UserError: if there are none, or one is damaged.
    """
    with damaged(folder):
        return _budget_table(_read(folder))


def _budget_table(trainings: Sequence[Training]) -> str:
    runs: dict[str, list[Training]] = {}
    for training in trainings:
        runs.setdefault(training["name"], []).append(training)
    by_error = sorted(
        runs.values(), key=lambda found: -_of_suite(max(found, key=_images), "clean")[0].value
    )
    by_task = sorted(by_error, key=lambda found: found[0]["dataset"], reverse=True)
    return markdown_table([_budget_row(found) for found in by_task])


def _budget_row(trainings: Sequence[Training]) -> dict[str, str]:
    few, many = min(trainings, key=_images), max(trainings, key=_images)
    poses = _of_suite(many, "pose")
    return {
        "config": code(few["name"]),
        "parameters": f"{few['parameters']:,}",
        "images": f"{_images(few):,}",
        "error at equal images": _error(few),
        "images in equal time": f"{_images(many):,}",
        "error at equal time": _error(many),
        "training": _minutes(many["train_seconds"]),
        "pose error": f"{poses[0].value:.1f} px" if poses else "",
    }


def _images(training: Training) -> int:
    return training["step"] * training["experiment"]["batch_size"]


def _error(training: Training) -> str:
    clean = _of_suite(training, "clean")[0]
    low, high = clean.interval
    error = 100 * (1 - clean.value)
    return f"{error:.2f} % ({100 * (1 - high):.2f} to {100 * (1 - low):.2f})"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def main(arguments: Sequence[str]) -> None:
    """Prints the table of a folder, and where networks have several budgets that of budgets."""
    if len(arguments) != 2:
        raise UserError("name one folder: python -m evaluation.reports.trainings FOLDER")
    folder = expand(arguments[1], "FOLDER")
    with damaged(folder):
        print("\n\n".join(tables(_read(folder))))


if __name__ == "__main__":
    commands.run(main)
