"""Cost on this machine: size, arithmetic, compile time, speed, memory."""

from data.dataset import Dataset
from evaluation.model import Predictor
from evaluation.results.quantities import Metric
from evaluation.results.result import Result
from evaluation.statistics.intervals import NOT_NEGATIVE

REQUIRES = ("cost",)
PASSES = 20
SEVERAL_LABELS = True
_UNITS = {"FLOPs": "FLOPs/image", "s": "s", "images/s": "images/s", "MB": "MB"}


def metric(name: str) -> Metric:
    """Makes the metric of a cost; more is better of images per second alone.

    Args:
        name: As in `Predictor.cost`; its last word decides the unit.
    """
    unit = _UNITS.get(name.rpartition(" ")[2], "parameters")
    return Metric(name, unit, higher_is_better=unit == "images/s", bounds=NOT_NEGATIVE)


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Makes a result of each number of `predict.cost`, measured once and so without an interval."""
    assert predict.cost is not None  # as required
    return [
        Result(
            suite="cost",
            metric=metric(name),
            value=float(value),
            interval=(float(value), float(value)),
            interval_method="measured once",
            count=len(dataset.test),
            data_checksum=dataset.test.checksum,
            definition={"batch_size": batch_size},
        )
        for name, value in predict.cost(batch_size).items()
    ]
