"""Estimated time of an evaluation, before most of it is spent."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from data.dataset import Dataset
from evaluation import suites
from evaluation.applicability import NotApplicable, check
from evaluation.model import Predictor, predict_all

# Of each suite, besides the model's time: compiling, and making the images that it scores.
_SECONDS_OF_A_SUITE = 1.5


def estimate(
    pending: Sequence[Any], model: Predictor, dataset: Dataset, *, batch_size: int, models: int
) -> str:
    """Estimates how long suites take, after timing one batch, as a line for people.

    Args:
        pending: The modules of the suites; those that do not apply to the model take no time.
        model: The first one. It is called twice, for the first call compiles.
        dataset: Its test images are scored.
        batch_size: Images per call of the model.
        models: How many there are.
    """
    passes = [suites.passes(module) for module in pending if _applies(module, model, dataset)]
    # The last batch is filled up.
    images = -(-len(dataset.test) // batch_size) * batch_size
    seconds = sum(passes) * images * _seconds_of_an_image(model, dataset, batch_size)
    total = models * (seconds + _SECONDS_OF_A_SUITE * len(passes))
    as_fast = ", if all are as fast as the first" if models > 1 else ""
    counts = f"{_counted(models, 'model')} and {_counted(len(passes), 'suite')}"
    return f"{describe_seconds(total)} for {counts}{as_fast}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def describe_seconds(seconds: float) -> str:
    """A duration for people: "about 50 s", "about 3 min", "about 2 h"."""
    if seconds < 90.0:
        return f"about {max(round(seconds, -1), 10.0):.0f} s"
    if seconds < 5400.0:
        return f"about {seconds / 60.0:.0f} min"
    return f"about {seconds / 3600.0:.1f} h"


def _applies(module: Any, model: Predictor, dataset: Dataset) -> bool:
    try:
        check(module, model, dataset)
    except NotApplicable:
        return False
    return True


def _seconds_of_an_image(model: Predictor, dataset: Dataset, batch_size: int) -> float:
    images = dataset.test.images[:batch_size]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(predict_all(model, images, batch_size=batch_size, name="timing"))
        seconds.append(time.perf_counter() - start)
    return float(np.min(seconds)) / batch_size
