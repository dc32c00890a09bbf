"""Parsing of a command line to a request of what `evaluate.py` is to measure."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from common.errors import UserError
from common.files import expand_given, writable_folder
from configs import _flags
from configs._catalogue import describe, load
from configs._outside import import_code
from evaluation import suites
from training.experiment import Experiment

# Apart from those of `train.py`, for both commands take, for one, a `data_dir`.
_GIVEN = flags.FlagValues()
_SUITES = flags.DEFINE_list(
    "suites",
    [],
    "Suites to run, separated by commas; 'all' for all that apply, a quick set by default.",
    flag_values=_GIVEN,
)
_CHECKPOINT = _flags.define_checkpoint(_GIVEN)
_MATCH_ACCURACY = flags.DEFINE_float(
    "match_accuracy",
    None,
    "Take each run within 0.1 points of this validation accuracy, in %.",
    flag_values=_GIVEN,
)
_CONTROL = flags.DEFINE_string(
    "control",
    None,
    "Model, as tables name it, that every other is compared with; else the second of two.",
    flag_values=_GIVEN,
)
_LIMIT = flags.DEFINE_integer(
    "limit", 0, "Test images to score, drawn at random; 0 for all.", flag_values=_GIVEN
)
_OUT = flags.DEFINE_string(
    "out", None, "Folder that gets the records and the report.", flag_values=_GIVEN
)
_MODELS = flags.DEFINE_multi_string(
    "model",
    [],
    "MODULE:FUNCTION that returns a custom model; may be given several times.",
    flag_values=_GIVEN,
)
_DATA = flags.DEFINE_string(
    "data", "mnist", "Configuration whose dataset --model is evaluated on.", flag_values=_GIVEN
)
_CODE = _flags.define_code(_GIVEN)
_TEST_DATA = flags.DEFINE_string(
    "test_data",
    None,
    "Dataset whose test images are used, in place of each run's own.",
    flag_values=_GIVEN,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data; else TFDS_DATA_DIR.", flag_values=_GIVEN
)
_FLAGS = (
    *(_SUITES, _CONTROL, _CHECKPOINT, _MATCH_ACCURACY, _LIMIT, _OUT),
    *(_MODELS, _DATA, _CODE, _TEST_DATA, _DATA_DIR),
)
_LIST = ["list"]


@dataclasses.dataclass(frozen=True)
class Request:
    """The runs, models, suites and data of an evaluation.

    Attributes:
        runs: Folders of runs, or of several, as they were typed.
        models: Names of custom models, MODULE:FUNCTION.
        suites: Names.
        control: Name of the model that every other is compared with; None for the second of two.
        checkpoint: "last" or "best".
        match_accuracy: On validation, in [0, 1]; None for none.
        limit: Test images to score; 0 for all.
        out: Folder for records and report, which can be written; None for none.
        data: Configuration whose dataset custom models are evaluated on.
        code: Files and modules of the user's own, which have been imported.
        test_data: Dataset of other test images; None for each run's own.
        data_dir: Of prepared data; None for the usual one.
    """

    runs: tuple[str, ...]
    models: tuple[str, ...]
    suites: tuple[str, ...]
    control: str | None
    checkpoint: str
    match_accuracy: float | None
    limit: int
    out: pathlib.Path | None
    data: str
    code: tuple[str, ...]
    test_data: str | None
    data_dir: str | None

    def load(self, name: str) -> Experiment:
        """The experiment of a run's name; see `configs.load`."""
        return load(name, self.code)

    def describe(self, name: str, experiment: Experiment) -> str:
        """What tables call a run's model; see `configs.describe`."""
        return describe(name, experiment, self.code)


def parse_evaluation(arguments: Sequence[str], documentation: str) -> Request:
    """Parses the command line of an evaluation; `--help` and `list` end the process.

    Args:
        arguments: The program's name and its arguments.
        documentation: Of the command, for `--help`.

    Raises:
        UserError: if anything on the command line is unknown or does not fit.
    """
    words = _flags.parse(_GIVEN, [each.name for each in _FLAGS], arguments, documentation)
    if words == _LIST:
        print(suites.describe())
        sys.exit(0)
    _check(words)
    accuracy, out = _MATCH_ACCURACY.value, _OUT.value
    return Request(
        runs=tuple(words),
        models=tuple(dict.fromkeys(_MODELS.value)),
        suites=tuple(_chosen_suites()),
        control=_CONTROL.value,
        checkpoint=_CHECKPOINT.value,
        match_accuracy=None if accuracy is None else accuracy / 100.0,
        limit=_LIMIT.value,
        out=None if out is None else writable_folder(out, "--out"),
        data=_DATA.value,
        code=import_code(_CODE.value),
        test_data=_TEST_DATA.value,
        data_dir=expand_given(_DATA_DIR.value, "--data_dir"),
    )


def _check(words: Sequence[str]) -> None:
    if not words and not _MODELS.value:
        raise UserError("name at least one run, as in: python evaluate.py runs/capsnet_mnist")
    if _LIMIT.value < 0:
        raise UserError(f"--limit={_LIMIT.value}: must be at least 0")
    accuracy = _MATCH_ACCURACY.value
    if accuracy is not None and not 0.0 <= accuracy <= 100.0:
        raise UserError(f"--match_accuracy={accuracy}: must be a percentage from 0 to 100")


def _chosen_suites() -> list[str]:
    """Each named suite once, or all, or the default ones."""
    names = [name.strip() for name in _SUITES.value]
    if _GIVEN["suites"].present and not any(names):
        raise UserError("--suites is empty; name some, or leave it out for the usual ones")
    return suites.chosen_names(names)
