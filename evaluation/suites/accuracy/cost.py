"""What a model costs on this machine: size, arithmetic, compile time, speed, memory."""

from data.dataset import Dataset
from evaluation.model import Predictor
from evaluation.results.result import Result

REQUIRES = ("cost",)
_UNITS = {"FLOPs": "FLOPs/image", "s": "s", "images/s": "images/s", "MB": "MB"}


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """One result for each number of `predict.cost`, measured once and so without an interval."""
    assert predict.cost is not None  # as required
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
        for name, value in predict.cost(batch_size).items()
    ]
