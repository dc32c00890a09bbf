"""Carries out a study: `python study.py small_shifts`; `python study.py list` names them all.

Trains and evaluates what is missing and writes the study's page. The same command goes on where it
was stopped; `--shard 2/4` does the second of four parts, whose folders are joined by copying.
"""

import sys

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h", "list")

from collections.abc import Sequence

import configs
import studies
from common.files import expand_given, writable_folder
from common.tables import markdown_table
from inference.studies.cells import StudyFolder, parse_shard
from inference.studies.other_images import default_folder, on_dataset
from inference.studies.work import Work
from training import process
from training.interruption import Interrupted


def main(arguments: Sequence[str]) -> None:
    """Plans or carries out the study that the command line names."""
    parser = commands.Parser("study.py", description=__doc__)
    parser.add_argument("name", help="of the study, or list")
    parser.add_argument("--workdir", help="the study's folder; runs/studies/NAME by default")
    parser.add_argument("--shard", default="1/1", help="part K of N of all trainings, as in 2/4")
    parser.add_argument("--plan", action="store_true", help="print what is left, and end")
    parser.add_argument("--dataset", help="carry it out on these images, as in fashion_mnist")
    parser.add_argument("--data_dir", help="folder of prepared data; else TFDS_DATA_DIR")
    chosen = parser.parse_args(arguments[1:])
    if chosen.name == "list":
        print(studies.catalogue())
        return
    process.set_up()
    study, configurations = on_dataset(studies.load(chosen.name), configs.load, chosen.dataset)
    shard, data_dir = parse_shard(chosen.shard), expand_given(chosen.data_dir, "--data_dir")
    folder = chosen.workdir or default_folder(chosen.name, chosen.dataset)
    path = writable_folder(folder, "--workdir")
    work = Work(study, StudyFolder(path), configurations, data_dir, shard)
    print(f"{study.question}\n{work.left()}")
    if chosen.plan:
        print(f"\n{markdown_table(list(work.plan()))}")
        return
    try:
        work.carry_out()
    except Interrupted as stop:
        sys.exit(128 + stop.signal_number)
    print(f"wrote {path / 'report.html'}")


if __name__ == "__main__":
    commands.run(main, stopped="stopped; the same command goes on where it was")
