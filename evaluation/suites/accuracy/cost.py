"""What a model costs on this machine: size, arithmetic, compile time, speed, memory."""

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.results.result import Result

_UNITS = {"FLOPs": "FLOPs/image", "s": "s", "images/s": "images/s", "MB": "MB"}


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result] | None:
    """One result for each number of `predict.cost`, measured once and so without an interval.

    Returns:
        The results; None if only the model's answers are known.
    """
    cost = getattr(predict, "cost", None)
    if cost is None:
        return None
    return [
        Result(
            suite="cost",
            metric=name,
            value=float(value),
            interval=(float(value), float(value)),
            interval_method="measured once",
            count=len(dataset.test),
            data_checksum=dataset.test.checksum,
            unit=_UNITS.get(name.rpartition(" ")[2], "parameters"),
            parameters={"batch_size": batch_size},
        )
        for name, value in cost(batch_size).items()
    ]
