"""Parsing of a command line to a request of what `predict.py` is to predict."""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from common.errors import UserError
from common.files import expand_given, writable_file
from configs import _flags
from configs._catalogue import load
from configs._outside import import_code
from training.experiment import Experiment

_GIVEN = flags.FlagValues()
_JSON = flags.DEFINE_bool(
    "json", False, "Print one JSON object for each image, a line each.", flag_values=_GIVEN
)
_PICTURE = flags.DEFINE_string(
    "picture",
    None,
    "PNG file that gets the first images as the model sees them, with its reconstructions, warps "
    "and couplings.",
    flag_values=_GIVEN,
)
_CHECKPOINT = _flags.define_checkpoint(_GIVEN)
_CODE = _flags.define_code(_GIVEN)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of prepared data, which a run without a signature.json needs; else TFDS_DATA_DIR.",
    flag_values=_GIVEN,
)
_FLAGS = (_JSON, _PICTURE, _CHECKPOINT, _CODE, _DATA_DIR)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The run and the images of a prediction.

    Attributes:
        run: Folder of the run, as it was typed.
        images: Image files, as they were typed.
        as_json: Prints JSON in place of text.
        picture: PNG file, which can be written; None for none.
        checkpoint: "last" or "best".
        code: Files and modules of the user's own, which have been imported.
        data_dir: Of prepared data; None for the usual one.
    """

    run: str
    images: tuple[str, ...]
    as_json: bool
    picture: pathlib.Path | None
    checkpoint: str
    code: tuple[str, ...]
    data_dir: str | None

    def load(self, name: str) -> Experiment:
        """The experiment of a run's name; see `configs.load`."""
        return load(name, self.code)


def parse_prediction(arguments: Sequence[str], documentation: str) -> Prediction:
    """Parses the command line of a prediction; `--help` ends the process.

    Args:
        arguments: The program's name and its arguments.
        documentation: Of the command, for `--help`.

    Raises:
        UserError: if anything on the command line is unknown or does not fit.
    """
    words = _flags.parse(_GIVEN, [each.name for each in _FLAGS], arguments, documentation)
    if len(words) < 2:
        raise UserError(
            "name a run and at least one image, as in: python predict.py runs/capsnet_mnist 3.png"
        )
    picture = _PICTURE.value
    if picture is not None and pathlib.Path(picture).suffix.lower() != ".png":
        raise UserError(f"--picture={picture}: is written as PNG; name a file that ends in .png")
    return Prediction(
        run=words[0],
        images=tuple(words[1:]),
        as_json=_JSON.value,
        picture=None if picture is None else writable_file(picture, "--picture"),
        checkpoint=_CHECKPOINT.value,
        code=import_code(_CODE.value),
        data_dir=expand_given(_DATA_DIR.value, "--data_dir"),
    )
