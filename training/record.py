"""The final record of a run, ready for JSON."""

from collections.abc import Sequence
from typing import Any

from evaluation.results import provenance
from evaluation.results.result import Result
from evaluation.results.schema import SCHEMA, result_to_json
from training.experiment import to_json
from training.setup import Setup
from training.step import TrainState


def make_record(
    setup: Setup,
    state: TrainState,
    results: Sequence[Result],
    *,
    name: str,
    seconds: tuple[float, float],
    images_per_second: float | None,
    origin: dict[str, Any] | None,
) -> dict[str, Any]:
    """Puts together what there is to know of a run at its last step.

    Args:
        setup: Of the run.
        state: Its last.
        results: Of the suites.
        name: Of its configuration.
        seconds: Of training, and of compiling.
        images_per_second: Trained; None where no clock moved.
        origin: Where its initial weights are from (see `training.initial`); None for random ones.
    """
    train_seconds, compile_seconds = (round(each, 1) for each in seconds)
    return {
        "schema": SCHEMA,
        "name": name,
        "dataset": setup.dataset.name,
        "classes": list(setup.dataset.class_names),
        "step": int(state.step),
        "checkpoint": "last step",
        "seed": setup.experiment.seed,
        "initial weights": origin,
        "parameters": state.num_parameters,
        "train_seconds": train_seconds,
        "compile_seconds": compile_seconds,
        "images_per_second": None if images_per_second is None else round(images_per_second, 1),
        "environment": provenance.describe(),
        "experiment": to_json(setup.experiment),
        "results": [result_to_json(result) for result in results],
    }
