"""The tables of the records in a folder: `python -m evaluation.summary results`."""

import pathlib
from collections.abc import Sequence
from typing import Any

from common import commands
from common.errors import UserError
from common.files import expand
from common.stored import damaged, read_object
from common.tables import code, markdown_table


def summarise(folder: pathlib.Path) -> str:
    """One row for each record of a folder, ordered by file name, as a Markdown table.

    Raises:
        UserError: if there are none, or one is damaged.
    """
    rows = []
    for path in sorted(folder.glob("*.json")):
        record = _read(path)
        with damaged(path):
            rows += [
                _row(record, result) for result in record["results"] if result["suite"] == "clean"
            ]
    return _table(rows, folder)


def _read(path: pathlib.Path) -> dict[str, Any]:
    """A record that has what every row needs."""
    record = read_object(path)
    with damaged(path):
        _clean(record)
    return record


def _table(rows: list[dict[str, str]], folder: pathlib.Path) -> str:
    if not rows:
        raise UserError(f"{folder}: no records of runs (NAME.json)")
    return markdown_table(rows)


def _row(record, result) -> dict[str, str]:
    low, high = result["interval"]
    return {
        "config": code(record["name"]),
        "parameters": f"{record['parameters']:,}",
        "test accuracy": f"{100 * result['value']:.2f} %",
        result["interval_method"]: f"{100 * low:.2f} to {100 * high:.2f} %",
        "steps": f"{record['step']:,}",
        "training": _minutes(record["train_seconds"]),
        "images/s": f"{record['images_per_second']:,.0f}",
        "device": record["environment"]["device"],
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
    runs = {}
    for path in folder.glob("*.json"):
        record = _read(path)
        with damaged(path):
            _budget_row([record])  # whatever is wrong with it shows here, where its name is known
            runs.setdefault(record["name"], []).append(record)
    by_error = sorted(
        runs.values(), key=lambda records: -_clean(max(records, key=_images))["value"]
    )
    by_task = sorted(by_error, key=lambda records: records[0]["dataset"], reverse=True)
    return _table([_budget_row(records) for records in by_task], folder)


def _budget_row(records) -> dict[str, str]:
    few, many = min(records, key=_images), max(records, key=_images)
    poses = [result for result in many["results"] if result["suite"] == "pose"]
    return {
        "config": code(few["name"]),
        "parameters": f"{few['parameters']:,}",
        "images": f"{_images(few):,}",
        "error at equal images": _error(few),
        "images in equal time": f"{_images(many):,}",
        "error at equal time": _error(many),
        "training": _minutes(many["train_seconds"]),
        "pose error": f"{poses[0]['value']:.1f} px" if poses else "",
    }


def _images(record) -> int:
    return record["step"] * record["experiment"]["batch_size"]


def _clean(record) -> dict:
    return next(result for result in record["results"] if result["suite"] == "clean")


def _error(record) -> str:
    clean = _clean(record)
    low, high = clean["interval"]
    error = 100 * (1 - clean["value"])
    return f"{error:.2f} % ({100 * (1 - high):.2f} to {100 * (1 - low):.2f})"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def main(arguments: Sequence[str]) -> None:
    """Prints both tables of a folder."""
    if len(arguments) != 2:
        raise UserError("name one folder: python -m evaluation.summary FOLDER")
    results = expand(arguments[1], "FOLDER")
    print(summarise(results))
    if (results / "transformers").is_dir():
        print()
        print(summarise_budgets(results / "transformers"))


if __name__ == "__main__":
    commands.run(main)
