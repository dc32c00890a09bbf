"""Measurements of models on images that are said to be hard, and comparisons of them.

tables = evaluation.evaluate({"mine": module}, dataset, suites=["clean", "rotation"])
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import UserError
from common.files import writable_folder
from data.dataset import Dataset
from evaluation import suites as _suites
from evaluation.comparison.tables import Stated, Table, tabulate
from evaluation.model import Predictor
from evaluation.runner import group, measure

__all__ = ["Predictor", "Table", "evaluate"]


def evaluate(
    models: Any,
    dataset: Dataset | None = None,
    *,
    suites: Sequence[str] | str = (),
    control: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> list[Table]:
    """Measures models on the test images of a dataset, and compares them.

    Args:
        models: A model, or several by name; in place of a model a list of its trainings, which
            differ in their seed alone. A model is a function of images `[batch, height, width,
            channels]` in [0, 1] to logits, a `Predictor`, or an NNX module that returns a
            `cnn.Output`; with `inference` imported, also a restored run or a run's folder.
        dataset: Whose test images are scored, every one of them; None for those of each run.
        suites: Names, as `python evaluate.py list` has them; "all" for all that apply, none for the
            quick ones that it marks.
        control: Name of the model that every other is compared with; None for the second of two.
        out: A folder that keeps a record of every suite, from which the same call goes on, and a
            report.

    Returns:
        One table for each dataset, version of it and kind of checkpoint.

    Raises:
        UserError: if something that was asked for could not be measured, once all else is done.
    """
    named: Mapping[str, Any] = models if isinstance(models, Mapping) else {"model": models}
    folder = None if out is None else writable_folder(out, "out")
    names = _suites.chosen_names([suites] if isinstance(suites, str) else suites)
    if control is not None and control not in named:
        raise UserError(f"control={control!r}: is none of the models {', '.join(named)}")
    stated = Stated(control=control)
    makers = [make for _, make in group(named, dataset)]
    found = measure(makers, names, out=folder, stated=stated)
    found.failures.end()
    return tabulate([record for record in found.records if record.results], stated)
