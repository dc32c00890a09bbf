"""Per-step metrics as they arrive from the device: checked, then averaged over windows."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from common.errors import NonFiniteError


class MetricsWindow:
    """Averages of metrics over every `length` steps, aligned to multiples of it.

    Args:
        length: Steps in a window.
        last_step: The step that ends the run; it ends a window too.
        begun: What `begun` returned where an interrupted run saved its last checkpoint.
    """

    def __init__(self, length: int, last_step: int, begun: dict[str, Any] | None = None):
        self._length = length
        self._last_step = last_step
        self._sums: dict[str, float] = dict(begun["sums"]) if begun else {}
        self._count: int = begun["count"] if begun else 0

    def begun(self) -> dict[str, Any]:
        """The steps so far of the window that no step has ended yet, ready for JSON.

        With it a resumed run reports what one that was never interrupted does.
        """
        return {"count": self._count, "sums": dict(self._sums)}

    def add(
        self, first_step: int, count: int, history: dict[str, Any]
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """Takes the metrics of a block of steps; yields (step, means) for each window it ends.

        Args:
            first_step: Steps done before the block.
            count: Steps in the block.
            history: Arrays of which the first `count` entries hold.

        Raises:
            NonFiniteError: at the first step whose loss or gradient is not finite.
        """
        values = {name: np.asarray(array) for name, array in jax.device_get(history).items()}
        for index in range(count):
            step = first_step + index + 1
            row = {name: float(array[index]) for name, array in values.items()}
            _check_finite(step, row)
            for name, value in row.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._count += 1
            if step % self._length == 0 or step == self._last_step:
                yield step, {name: total / self._count for name, total in self._sums.items()}
                self._sums, self._count = {}, 0


def _check_finite(step: int, row: dict[str, float]) -> None:
    for name in ("loss", "gradient_norm"):
        if not math.isfinite(row[name]):
            raise NonFiniteError(f"the {name.replace('_', ' ')} is {row[name]} at step {step}")


def constant_prediction(predictions: np.ndarray, labels: np.ndarray) -> str | None:
    """Names what is wrong with a network that predicts one class for all images; else None.

    Args:
        predictions: `[count, objects]`, see `evaluation.metrics.classification.predictions`.
        labels: Of the images.
    """
    if np.ptp(predictions, axis=0).any() or np.ptp(labels) == 0:
        return None
    classes = " and ".join(map(str, predictions[0]))
    return (
        f"every validation image is predicted to be class {classes}: the layers before the "
        "logits may be dead. Try another seed or a lower learning rate"
    )
