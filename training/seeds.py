"""One experiment under several seeds, each in a folder of its own."""

import dataclasses
import re
from collections.abc import Sequence

from common.errors import UserError
from common.files import expand
from training.experiment import Experiment


def plan(
    experiment: Experiment, workdir: str, seeds: Sequence[str] | None
) -> dict[str, Experiment]:
    """The runs that a command line asks for, all of them checked before the first begins.

    Args:
        experiment: Of all runs, but for their seeds.
        workdir: As it was typed.
        seeds: As they were typed; None for the experiment's own, in `workdir` itself.

    Returns:
        The experiments by their folders: `workdir`, or WORKDIR_seedN for each seed N.

    Raises:
        UserError: if the seeds are not different whole numbers, or one of the runs cannot be.
    """
    folder = expand(workdir, "--workdir")
    if seeds is None:
        return {str(folder): experiment}
    given = f"--seeds={','.join(seeds)}"
    # Not int(): it takes signs, underscores and the digits of every script.
    if not seeds or not all(re.fullmatch("[0-9]{1,20}", seed) for seed in seeds):
        raise UserError(f"{given}: give whole numbers, as in 0,1,2")
    numbers = [int(seed) for seed in seeds]
    if len(set(numbers)) < len(numbers):
        raise UserError(f"{given}: gives a seed twice; one run is trained with each")
    if folder.name in ("", ".."):
        raise UserError(f"--workdir={workdir}: --seeds needs a folder with a name, as in runs/NAME")
    runs = {
        str(folder.with_name(f"{folder.name}_seed{number}")): dataclasses.replace(
            experiment, seed=number
        )
        for number in numbers
    }
    for run in runs.values():
        run.check()
    return runs
