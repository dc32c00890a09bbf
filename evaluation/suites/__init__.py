"""Suites of measurements: one a file, in a folder of its kind; the file's name is the suite's name.

A suite has `evaluate(predict, dataset, *, batch_size)`, which returns a `Result`, or several. It
scores the images of `dataset.test`, every one of them, and may look at the others for thresholds.
Its random draws come from a fixed seed, so that every model meets the same images. Its metrics are
constants at its top, or those of `evaluation.metrics.classification`.

`REQUIRES` lists what a suite cannot do without: fields of the model's output (see `cnn.Output`),
"activations", "differentiable" or "cost", and "images", which volumes are not; `run` checks them.
Any other requirement on data or model is a `NotApplicable`, with the reason. So is, unless a suite
sets `SEVERAL_LABELS = True`, a dataset whose images have several labels each, for what compares the
largest logit with a label would score it wrongly (see `evaluation.metrics.classification.hits`).

`PASSES` is about how many forward passes of an image a suite takes, for an estimate of its time;
attacks follow gradients, which count as three. Suites that set `QUICK = True` run where none is
named, and all that apply do as "all".
A suite of distorted images may have `examples(images) -> {name: images}`, some images after each
distortion, for pictures; one that draws images of its own, `scenes(dataset, count) -> {name:
images}`.
"""

import difflib
import functools
import importlib
import math
import pkgutil
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from common.errors import UserError
from data.dataset import Dataset
from evaluation.applicability import NotApplicable, check
from evaluation.model import Predict, as_predictor
from evaluation.results.earlier_schemas import current
from evaluation.results.result import Result

__all__ = [
    "NotApplicable",
    "chosen_names",
    "current",
    "default_names",
    "describe",
    "describe_one",
    "examples",
    "kind",
    "load",
    "names",
    "passes",
    "run",
]

ALL = "all"
"""In place of names, all suites that apply."""
# Images of a dataset that pictures show.
_SHOWN = 6


def names() -> list[str]:
    """Lists the names of all suites."""
    return sorted(_modules())


@functools.cache
def _modules() -> dict[str, str]:
    """Finds the module of each suite, by the suite's name."""
    found = pkgutil.walk_packages(__path__, f"{__name__}.")
    return {module.name.rpartition(".")[2]: module.name for module in found if not module.ispkg}


def kind(name: str) -> str:
    """The folder that a suite lies in, such as "distortions"; empty for a suite that is not there.

    Args:
        name: Of the suite.
    """
    return _modules().get(name, "").removeprefix(f"{__name__}.").rpartition(".")[0]


def default_names() -> list[str]:
    """Lists the names of the suites that run where none is named, clean images first."""
    return _clean_first(name for name in names() if getattr(load(name), "QUICK", False))


def chosen_names(given: Sequence[str]) -> list[str]:
    """Lists each named suite once; all of them for "all", the default ones for none.

    Args:
        given: Names, or "all" among them.

    Raises:
        UserError: if there is no such suite.
    """
    if ALL in given:
        return _clean_first(names())
    for name in given:
        load(name)
    return list(dict.fromkeys(given)) or default_names()


def _clean_first(found: Iterable[str]) -> list[str]:
    """Clean images are the row that all others are read against."""
    return sorted(found, key=lambda name: name != "clean")


def passes(suite: Any) -> float:
    """Forward passes of an image that a suite's module takes, about."""
    return float(getattr(suite, "PASSES", 1))


def run(suite: Any, predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures all results of a suite's module for a model.

    Args:
        suite: The module.
        predict: The model.
        dataset: Its test images are scored.
        batch_size: Images per call of the model.

    Raises:
        NotApplicable: if the model or the data lacks what the suite requires.
        UserError: if there are no test images, or something that was measured is NaN or infinite.
    """
    if not len(dataset.test):
        raise UserError(f"{dataset.name} has no test images")
    predictor = as_predictor(predict)
    check(suite, predictor, dataset)
    found = suite.evaluate(predictor, dataset, batch_size=batch_size)
    results = [found] if isinstance(found, Result) else list(found)
    for result in results:
        details = (detail.value for detail in result.details.values())
        if not all(map(math.isfinite, (result.value, *result.interval, *details))):
            name = result.metric.name
            raise UserError(
                f"{result.suite}, {result.condition or name}: {name} is NaN or infinite, which is "
                "no result"
            )
    return results


def load(name: str):
    """Imports the module of a suite.

    Args:
        name: Of the suite, today's or an earlier one (see `current`).

    Raises:
        UserError: if there is none of that name.
    """
    name = current(name)
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise UserError(
            f"suite {name!r} does not exist{meant} python evaluate.py list describes all "
            f"{len(names())}: {', '.join(names())}"
        )
    return importlib.import_module(_modules()[name])


def describe_one(name: str) -> str:
    """The first line of a suite's docstring; empty for a suite that is not there."""
    if current(name) not in names():
        return ""
    return "".join((load(name).__doc__ or "").strip().splitlines()[:1])


def describe() -> str:
    """Lists every suite's name with the first line of its docstring, and which run by default."""
    width = max(map(len, names()))
    by_default = default_names()
    marks = {name: " In the default set." if name in by_default else "" for name in names()}
    return "\n".join(f"{name:{width}}  {describe_one(name)}{marks[name]}" for name in names())


def examples(name: str, dataset: Dataset) -> dict[str, np.ndarray]:
    """Makes pictures of a suite: test images as it changes them, or images of its own.

    Returns:
        `[count, height, width, channels]` in [0, 1], by what they show; nothing for other suites.
    """
    suite = load(name)
    if hasattr(suite, "scenes"):
        return suite.scenes(dataset, _SHOWN)
    show = getattr(suite, "examples", None)
    return show(dataset.test.images[:_SHOWN].astype(np.float32) / 255.0) if show else {}
