"""Export of a trained run into a folder of files that need nothing of this project.

weights.safetensors   parameters that evaluations use, and batch statistics, by name
forward.stablehlo     the forward pass with these weights, as `jax.export` serialises it
config.json           the experiment, and the names, shapes and ranges of inputs and outputs
record.json           the final record of a run that is complete
README.md             a model card
model.onnx            the forward pass as an ONNX model, where it is asked for

The folder is also one of a run whose weights are all that is left (see `training.run.directory`).
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import safetensors.numpy

from common.errors import UserError
from common.files import PARTIAL, expand, writable_folder, write_all
from common.stored import read_object
from inference.forward import forward, lower, named_weights, output_shapes, trained_network
from inference.model_card import Exported, model_card
from inference.onnx import to_onnx
from inference.restore import RestoredRun
from training.config_types import to_json
from training.run.directory import WEIGHTS
from training.run.signature import Signature
from training.run.weights import CHECKSUMS

PROGRAM, CONFIG, RECORD, CARD, ONNX = (
    "forward.stablehlo",
    "config.json",
    "record.json",
    "README.md",
    "model.onnx",
)
# Which an export does not always have; one of an earlier export would be of other weights.
_OPTIONAL = (PROGRAM, RECORD, ONNX)
FORMAT = "capsnet-stn export 1"
"""The value of "format" in the config.json of an export, by which a folder is known as one."""


def check_folder(path: str) -> pathlib.Path:
    """Makes sure that an export may be written to a folder, without making it.

    Args:
        path: As a user types it; there may be no such folder yet.

    Raises:
        UserError: if it is none, or holds anything but an earlier export.
    """
    folder = expand(path, "OUT")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"OUT={path} is not a folder; choose another")
    held = [file for file in folder.iterdir() if file.suffix != PARTIAL] if folder.exists() else []
    if held and not _is_export(folder):
        raise UserError(f"OUT={path} holds files but no earlier export; choose an empty folder")
    return folder


def _is_export(folder: pathlib.Path) -> bool:
    try:
        return read_object(folder / CONFIG).get("format") == FORMAT
    except UserError:
        return False


def export_run(
    run: RestoredRun,
    record: Mapping[str, Any] | None,
    folder: pathlib.Path,
    *,
    program: bool = True,
    onnx: bool = False,
) -> list[pathlib.Path]:
    """Writes the files of a run, all of which are made before the first one is written.

    Args:
        run: At the checkpoint to export.
        record: The run's final record; None while it is not complete.
        folder: See `check_folder`; an earlier export in it is replaced.
        program: Whether there is to be the forward pass.
        onnx: Whether there is to be an ONNX model.

    Returns:
        The files.

    Raises:
        UserError: if the network cannot be lowered or converted, or the folder not be written.
    """
    network, image_shape = trained_network(run), run.setup.dataset.image_shape
    outputs = forward(network)
    lowered = lower(outputs, image_shape)
    weights = named_weights(network)
    exported = Exported(run, record, output_shapes(lowered), program, onnx)
    files = {
        WEIGHTS: safetensors.numpy.save(weights, {"format": FORMAT, "weights": run.weights}),
        CARD: model_card(exported, {name: each.shape for name, each in weights.items()}).encode(),
    }
    if record is not None:
        files[RECORD] = (json.dumps(record, indent=2) + "\n").encode()
    if program:
        files[PROGRAM] = bytes(lowered.serialize())
    if onnx:
        files[ONNX] = to_onnx(outputs, image_shape)
    checksums = {name: hashlib.sha256(files[name]).hexdigest() for name in files if name != CARD}
    # The last to get its name, for it says of the others what they have to be.
    files[CONFIG] = (json.dumps(_config(exported, checksums), indent=2) + "\n").encode()
    place = writable_folder(folder, "OUT")
    write_all({place / name: content for name, content in files.items()})
    for name in set(_OPTIONAL) - files.keys():
        (folder / name).unlink(missing_ok=True)
    return [place / name for name in files]


def _config(exported: Exported, checksums: Mapping[str, str]) -> dict[str, Any]:
    run = exported.run
    dataset, experiment = run.setup.dataset, run.setup.experiment
    return {
        "format": FORMAT,
        "name": run.name,
        "step": run.step,
        "weights": run.weights,
        CHECKSUMS: dict(checksums),
        "dataset": dataset.name,
        "signature": dataclasses.asdict(Signature.of(dataset)),
        "image_range": [0.0, 1.0],
        "outputs": {name: list(shape) for name, shape in exported.outputs.items()},
        "jax": jax.__version__,
        "experiment": to_json(experiment),
    }
