"""The paper's comparison of networks with and without spatial transformers, on equal terms.

    python -m benchmarks.transformers rts --minutes 6 --workdir runs/transformers

Trains the FCN, the CNN and both behind transformers on a task of `configs/stn_mnist.py`, each for
two budgets: equal time (as many steps as it makes in the given minutes, by a measurement before the
first run) and equal images (as many steps as the slowest of them makes in that time). The learning
rate's schedule ends with the budget. The same command resumes; records go to `--records`.
"""

import argparse
import math
import pathlib
import shutil
import sys
import time
from typing import Any

import jax
import numpy as np

from benchmarks.reporting import place
from common.commands import steady_screen
from common.errors import UserError
from common.files import writable_folder, write_json
from common.stored import check_fields, damaged, read_object
from configs import stn_mnist
from training import loop
from training.experiment import Experiment
from training.setup import prepare

NETWORKS = ("fcn", "st_fcn_affine", "cnn", "st_cnn_affine", "st_cnn_tps")
# Long enough to average over what else the machine does.
_MEASURED_SECONDS = 5.0


def steps_per_second(experiment: Experiment, data_dir: str | None = None) -> float:
    """Training speed after compilation."""
    setup = prepare(experiment, data_dir)
    split, state = setup.training_split(), setup.program.create_state()
    count = 1
    while True:
        start = time.perf_counter()
        state, _ = jax.block_until_ready(setup.program.train_steps(state, split, np.int32(count)))
        seconds = time.perf_counter() - start
        # The first call compiles; blocks then grow until one is long enough.
        if (seconds > _MEASURED_SECONDS and count > 1) or count == setup.program.block_size:
            return count / seconds
        count = min(2 * count, setup.program.block_size)


def plan(task: str, minutes: float) -> dict[str, dict[str, int]]:
    """The steps of every network for equal images and for equal time."""
    speeds = {name: steps_per_second(stn_mnist.experiment(task, name)) for name in NETWORKS}
    in_time = {name: round(60.0 * minutes * speed) for name, speed in speeds.items()}
    fewest = min(in_time.values())
    return {name: {"images": fewest, "time": steps} for name, steps in in_time.items()}


def compare(task: str, budgets: dict[str, dict[str, int]], workdir: pathlib.Path) -> None:
    """Trains every network for every budget, into a folder of its own each."""
    for network, steps_of in budgets.items():
        for steps in sorted(set(steps_of.values())):
            experiment = stn_mnist.experiment(task, network)
            experiment.steps = steps
            # Four looks a run: enough to see it learn, and too few to cost time.
            experiment.validate_every = experiment.checkpoint_every = max(steps // 4, 1)
            experiment.log_every = max(steps // 40, 1)
            name = f"stn_mnist:{task},{network}"
            loop.run(experiment, name=name, workdir=str(run_folder(workdir, task, network, steps)))


def run_folder(workdir: pathlib.Path, task: str, network: str, steps: int) -> pathlib.Path:
    """Folder of a run of the comparison."""
    return workdir / f"{task}_{network}_{steps}"


def read_plan(path: pathlib.Path) -> dict[str, dict[str, int]]:
    """The steps that `plan` wrote down.

    Raises:
        UserError: if the file is none of it.
    """
    budgets: dict[str, Any] = read_object(path)
    with damaged(path):
        for network, steps in budgets.items():
            check_fields(steps, {"images": int, "time": int})
            if network not in NETWORKS or min(steps.values()) < 1 or len(steps) != 2:
                raise ValueError(f"{network}: {steps}")
    return budgets


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be positive")
    return minutes


def main(arguments: list[str] | None = None) -> None:
    """Plans, once, and runs what is not there yet."""
    steady_screen()
    parser = argparse.ArgumentParser(description="Networks with and without transformers.")
    parser.add_argument("task", choices=sorted(stn_mnist.TASKS))
    parser.add_argument("--minutes", type=_minutes, default=6.0, help="training time of a run")
    folder = place(writable_folder)
    parser.add_argument("--workdir", type=folder, default="runs/transformers")
    parser.add_argument("--records", type=folder, help="folder that gets every record")
    options = parser.parse_args(arguments)
    planned = options.workdir / f"{options.task}_plan.json"
    if not planned.exists():
        write_json(planned, plan(options.task, options.minutes))
    compare(options.task, read_plan(planned), options.workdir)
    if options.records:
        for record in sorted(options.workdir.glob(f"{options.task}_*/record.json")):
            shutil.copy(record, options.records / f"{record.parent.name}.json")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
