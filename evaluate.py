"""Evaluates trained runs: `python evaluate.py runs/capsnet_mnist runs/cnn_mnist`.

Restores each run's last checkpoint, runs the suites on it and prints one table.
"""

import sys
from collections.abc import Sequence

from absl import flags

from data.errors import UserError
from evaluation import suites
from evaluation.records import Result, markdown_table, show_interval, show_value
from training import process
from training.restoring import restore_run

_SUITES = flags.DEFINE_list("suites", ["clean"], "Suites to run, separated by commas.")
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "last", ["last", "best"], "The last step, or the best on validation."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.")


def main(arguments: Sequence[str]) -> None:
    """Evaluates every run that the command line names."""
    process.set_up()
    try:
        workdirs = flags.FLAGS(arguments)[1:]
    except flags.Error as error:
        raise UserError(str(error).splitlines()[0]) from error
    if not workdirs:
        raise UserError("name at least one run, as in: python evaluate.py runs/capsnet_mnist")
    for name in _SUITES.value:
        suites.load(name)
    rows = [row for workdir in workdirs for row in _evaluate(workdir, _SUITES.value)]
    print(markdown_table(rows))


def _evaluate(workdir: str, chosen: Sequence[str]) -> list[dict[str, str]]:
    run = restore_run(workdir, checkpoint=_CHECKPOINT.value, data_dir=_DATA_DIR.value)
    rows = []
    for name in chosen:
        result = run.setup.evaluate(suites.load(name), run.state)
        common = {
            "run": workdir,
            "step": f"{run.step} ({_CHECKPOINT.value})",
            "parameters": f"{run.state.num_parameters:,}",
        }
        rows.append(common | _columns(name, result))
    return rows


def _columns(suite: str, result: Result | None) -> dict[str, str]:
    if result is None:
        return dict.fromkeys(("metric", "interval", "method", "images"), "") | {
            "suite": suite,
            "value": "not applicable",
        }
    return {
        "suite": result.suite,
        "metric": result.metric,
        "value": show_value(result.value, result.unit),
        "interval": show_interval(result.interval, result.unit),
        "method": result.interval_method,
        "images": str(result.count),
    }


if __name__ == "__main__":
    try:
        main(sys.argv)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
