"""Trains one experiment: `python train.py --config capsnet_mnist`.

Any field of the configuration can be overridden: `--config.seed=1 --config.model.iterations=1`.
The same command with the same `--workdir` resumes a run that was interrupted.
"""

import contextlib
import signal
import sys

# Until training begins there is nothing to save, so Ctrl-C may end the process at once. Python's
# own KeyboardInterrupt is lost where it strikes in one of JAX's callbacks. This comes before the
# imports, for they take a second.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Importing takes seconds on a slow machine, and so does all that follows.
if __name__ == "__main__" and not any(
    word.startswith(("-h", "--h")) or word.endswith("list") for word in sys.argv[1:]
):
    with contextlib.suppress(OSError):
        print("importing JAX", flush=True)

import dataclasses
import re
from collections.abc import Sequence

from absl import flags

import configs
from data.errors import UserError, printable
from data.folders import expand
from training import loop, process
from training.experiment import Experiment

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
    runs = _runs(name, experiment)
    data_dir = _DATA_DIR.value
    if data_dir is not None:
        data_dir = str(expand(data_dir, "--data_dir"))
    process.join_processes(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    try:
        for folder, run in runs.items():
            if _PROCESS.value == 0:
                print(f"{name}: reading the images, then training in {folder}", flush=True)
            loop.run(run, name=name, workdir=folder, data_dir=data_dir)
    except loop.Interrupted as stop:
        sys.exit(128 + stop.signal_number)


def _runs(name: str, experiment: Experiment) -> dict[str, Experiment]:
    """The runs that the command line asks for, by their folders; all are checked before the first.

    Raises:
        UserError: if one of them cannot be.
    """
    chosen = _WORKDIR.value
    if chosen is None:
        chosen = f"runs/{name.replace(':', '_').replace(',', '_')}"
    workdir = expand(chosen, "--workdir")
    if not flags.FLAGS["seeds"].present:
        return {str(workdir): experiment}
    given = f"--seeds={','.join(_SEEDS.value)}"
    # Not int(): it takes signs, underscores and the digits of every script.
    if not _SEEDS.value or not all(re.fullmatch("[0-9]{1,10}", seed) for seed in _SEEDS.value):
        raise UserError(f"{given}: give whole numbers, as in 0,1,2")
    seeds = [int(seed) for seed in _SEEDS.value]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"{given}: gives a seed twice; one run is trained with each")
    if workdir.name in ("", ".."):
        raise UserError(f"--workdir={chosen}: --seeds needs a folder with a name, as in runs/NAME")
    runs = {
        str(workdir.with_name(f"{workdir.name}_seed{seed}")): dataclasses.replace(
            experiment, seed=seed
        )
        for seed in seeds
    }
    for run in runs.values():
        run.check()
    return runs


if __name__ == "__main__":
    try:
        main(sys.argv)
    except (UserError, OSError) as error:
        sys.exit(f"error: {printable(error)}")
