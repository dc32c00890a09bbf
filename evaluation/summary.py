"""The table of all records in a folder: `python -m evaluation.summary results`."""

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


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    print(summarise(pathlib.Path(sys.argv[1])))
