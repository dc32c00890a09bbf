"""Exports a trained run: `python export.py runs/capsnet_mnist exported/capsnet`.

Writes into a folder what other programs can load: the weights (`weights.safetensors`), the forward
pass (`forward.stablehlo`), the experiment (`config.json`), the run's final record (`record.json`)
and a model card (`README.md`). Commands take such a folder as they take a run; only training does
not go on in it.
"""

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h")

import functools
from collections.abc import Sequence

import configs
from common.errors import printable
from common.files import expand_given
from inference.export import check_folder, export_run
from inference.restore import restore_run
from training import process
from training.run.directory import RunDirectory


def main(arguments: Sequence[str]) -> None:
    """Exports the run that the command line names."""
    parser = commands.Parser("export.py", description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("out", help="a folder that is empty, or not there, or an earlier export")
    chose = {"choices": ["last", "best"], "default": "last"}
    parser.add_argument("--checkpoint", help="the last step, or the best on validation", **chose)
    own = "your file or module that the run was trained from; may be given several times"
    parser.add_argument("--code", action="append", default=[], help=own)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--onnx", action="store_true", help="write an ONNX model too (jax2onnx)")
    forms.add_argument("--weights_only", action="store_true", help="write no forward pass")
    parser.add_argument("--data_dir", help="folder of prepared data; else TFDS_DATA_DIR")
    chosen = parser.parse_args(arguments[1:])
    folder = check_folder(chosen.out)
    process.set_up()
    run = restore_run(
        chosen.run,
        checkpoint=chosen.checkpoint,
        data_dir=expand_given(chosen.data_dir, "--data_dir"),
        configurations=functools.partial(configs.load, code=configs.import_code(chosen.code)),
    )
    record = RunDirectory(chosen.run).read_record()
    forms = {"program": not chosen.weights_only, "onnx": chosen.onnx}
    for file in export_run(run, record, folder, **forms):
        print(printable(f"wrote {file}"))


if __name__ == "__main__":
    commands.run(main)
