"""Experiments: one a file, chosen by the file's name; `get_config()` returns an `Experiment`.

This module turns `--config NAME` and `--config.FIELD=VALUE` into an experiment, and says in one
line what is wrong with a name, a field or a value that does not fit. Files whose names begin with
an underscore are no experiments.
"""

from configs._catalogue import catalogue, describe, load, names
from configs._command_line import parse_flags
from configs._evaluation import Request, parse_evaluation
from configs._outside import import_code
from configs._prediction import Prediction, parse_prediction

__all__ = [
    "Prediction",
    "Request",
    "catalogue",
    "describe",
    "import_code",
    "load",
    "names",
    "parse_evaluation",
    "parse_flags",
    "parse_prediction",
]
