"""The tables of the records in a folder: `python -m evaluation.summary results`."""

import json
import pathlib
import sys

from evaluation.records import markdown_table


def summarise(folder: pathlib.Path) -> str:
    """One row for each record of a folder, ordered by file name, as a Markdown table."""
    rows = [
        _row(record, result)
        for path in sorted(folder.glob("*.json"))
        for record in [json.loads(path.read_text())]
        for result in record["results"]
        if result["suite"] == "clean"
    ]
    return markdown_table(rows)


def _row(record, result) -> dict[str, str]:
    low, high = result["interval"]
    return {
        "config": f"`{record['name']}`",
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
    """
    runs = {}
    for path in folder.glob("*.json"):
        record = json.loads(path.read_text())
        runs.setdefault(record["name"], []).append(record)
    by_error = sorted(
        runs.values(), key=lambda records: -_clean(max(records, key=_images))["value"]
    )
    by_task = sorted(by_error, key=lambda records: records[0]["dataset"], reverse=True)
    return markdown_table([_budget_row(records) for records in by_task])


def _budget_row(records) -> dict[str, str]:
    few, many = min(records, key=_images), max(records, key=_images)
    poses = [result for result in many["results"] if result["suite"] == "pose"]
    return {
        "config": f"`{few['name']}`",
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


if __name__ == "__main__":
    results = pathlib.Path(sys.argv[1])
    print(summarise(results))
    print()
    print(summarise_budgets(results / "transformers"))
