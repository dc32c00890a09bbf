"""Trains one experiment: `python train.py --config capsnet_mnist`.

Any field of the configuration can be overridden: `--config.seed=1 --config.model.iterations=1`.
The same command with the same `--workdir` resumes a run that was interrupted.
"""

import signal

# Until training begins there is nothing to save, so Ctrl-C may end the process at once. Python's
# own KeyboardInterrupt is lost where it strikes in one of JAX's callbacks. This comes before the
# imports, for they take a second.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags

import configs
from data.errors import UserError
from training import loop, process

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder; runs/NAME by default.")
_SEEDS = flags.DEFINE_list(
    "seeds", [], "Train once with each of these seeds, in the folders WORKDIR_seedN."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, to train over several processes or hosts."
)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Number of processes, with --coordinator.")
_PROCESS = flags.DEFINE_integer("process", 0, "This process's number, with --coordinator.")


def main(arguments: Sequence[str]) -> None:
    """Runs the experiment that the command line names."""
    process.set_up()
    name, experiment = configs.parse_flags(arguments)
    if _COORDINATOR.value:
        loop.join_processes(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    workdir = _WORKDIR.value or f"runs/{name.replace(':', '_').replace(',', '_')}"
    if any(not seed.isdecimal() for seed in _SEEDS.value):
        raise UserError(f"--seeds={','.join(_SEEDS.value)}: give whole numbers, as in 0,1,2")
    runs = {f"{workdir}_seed{int(seed)}": int(seed) for seed in _SEEDS.value}
    try:
        for folder, seed in (runs or {workdir: experiment.seed}).items():
            run = dataclasses.replace(experiment, seed=seed)
            loop.run(run, name=name, workdir=folder, data_dir=_DATA_DIR.value)
    except loop.Interrupted as stop:
        sys.exit(128 + stop.signal_number)


if __name__ == "__main__":
    try:
        main(sys.argv)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
