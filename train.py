"""Trains one experiment: `python train.py --config capsnet_mnist`.

Numbers, texts, truths and tuples of it can be overridden: `--config.model.routing.leaky=true`.
The same command with the same `--workdir` resumes a run that was interrupted, and one with more
`--config.steps` continues it; `--init_from=RUN` starts from the weights of another.
"""

import signal
import sys

from common import commands

# Until training begins there is nothing to save, so Ctrl-C may end the process at once. Python's
# own KeyboardInterrupt is lost in JAX's callbacks. All this comes before imports that take seconds.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
if __name__ == "__main__":
    commands.begin("-h", "--h", "list")

from collections.abc import Sequence

from absl import flags

import configs
from common.errors import printable
from common.files import expand_given
from training import loop, process, seeds

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder; runs/NAME by default.")
_SEEDS = flags.DEFINE_list("seeds", None, "Train once with each, in the folders WORKDIR_seedN.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, to train over several processes or hosts."
)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Number of processes, with --coordinator.")
_PROCESS = flags.DEFINE_integer("process", 0, "This process's number, with --coordinator.")


def main(arguments: Sequence[str]) -> None:
    """Runs the experiment that the command line names."""
    process.set_up()
    chosen = configs.parse_flags(arguments)
    name, workdir = chosen.name, chosen.workdir if _WORKDIR.value is None else _WORKDIR.value
    runs = seeds.plan(chosen.experiment, workdir, _SEEDS.value)
    data_dir = expand_given(_DATA_DIR.value, "--data_dir")
    known = {"data_dir": data_dir, "configurations": chosen.load}
    process.join_processes(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    try:
        for folder, run in runs.items():
            if _PROCESS.value == 0:
                print(printable(f"{name}: reading the images, to train in {folder}"), flush=True)
            loop.run(run, name=name, workdir=folder, **known, extend=True)
        if _PROCESS.value == 0:
            print(*map(printable, chosen.ending(list(runs))), sep="\n  ")
    except loop.Interrupted as stop:
        sys.exit(128 + stop.signal_number)


if __name__ == "__main__":
    commands.run(main)
