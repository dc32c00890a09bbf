"""One suite a file; a file's name is the suite's name.

A suite has `evaluate(predict, dataset, *, batch_size)`, which returns a `Result`, or several, or
None to say that it does not apply to such a model or such data. It scores the images of
`dataset.test`, every one of them, and may look at the others for thresholds. What it draws at
random comes from a fixed seed, so that every model meets the same images.

A suite that takes much longer than the others says `EXPENSIVE = True` and runs only by its name.
A suite of distorted images may have `examples(images) -> {name: images}`, which shows what it does
to some, for pictures; one that draws images of its own, `scenes(dataset, count) -> {name: images}`.
"""

import difflib
import importlib
import math
import pkgutil

import numpy as np

from common.errors import UserError
from data.sources import Dataset
from evaluation.prediction import Predict
from evaluation.records import Result

# Images of a dataset that pictures show.
_SHOWN = 6


def names() -> list[str]:
    """The names of all suites."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def default_names() -> list[str]:
    """The names of the suites that run where none is named."""
    return [name for name in names() if not getattr(load(name), "EXPENSIVE", False)]


def run(suite, predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """All results of a suite's module for a model; none where it does not apply.

    Raises:
        UserError: if there are no test images, or something that was measured is NaN or infinite.
    """
    if not len(dataset.test):
        raise UserError(f"{dataset.name} has no test images")
    found = suite.evaluate(predict, dataset, batch_size=batch_size)
    if found is None:
        return []
    results = [found] if isinstance(found, Result) else list(found)
    for result in results:
        numbers = (result.value, *result.interval, *result.details.values())
        if not all(map(math.isfinite, numbers)):
            raise UserError(
                f"{result.suite}, {result.condition or result.metric}: {result.metric} is NaN or "
                "infinite, which is no result"
            )
    return results


def load(name: str):
    """The module of a suite.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise UserError(
            f"suite {name!r} does not exist{meant} python evaluate.py list describes all "
            f"{len(names())}: {', '.join(names())}"
        )
    return importlib.import_module(f"{__name__}.{name}")


def describe() -> str:
    """Every suite's name with the first line of its docstring."""
    lines = {name: (load(name).__doc__ or "").strip().splitlines()[:1] for name in names()}
    width = max(map(len, lines))
    by_default = default_names()
    return "\n".join(
        f"{name:{width}}  {''.join(line)}{'' if name in by_default else ' Only if it is named.'}"
        for name, line in lines.items()
    )


def examples(name: str, dataset: Dataset) -> dict[str, np.ndarray]:
    """Pictures of what a suite shows: test images as it changes them, or images of its own.

    Returns:
        `[count, height, width, channels]` in [0, 1], by what they show; nothing for other suites.
    """
    suite = load(name)
    if hasattr(suite, "scenes"):
        return suite.scenes(dataset, _SHOWN)
    show = getattr(suite, "examples", None)
    return show(dataset.test.images[:_SHOWN].astype(np.float32) / 255.0) if show else {}
