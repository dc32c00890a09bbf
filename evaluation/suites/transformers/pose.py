"""Pose error of spatial transformers, on generated images."""

import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.metrics.pose import pose_errors
from evaluation.model import Predict, predict_split
from evaluation.results.quantities import Detail, Metric
from evaluation.results.result import Result
from evaluation.statistics.intervals import NOT_NEGATIVE, median_interval

REQUIRES = ("warp",)
PASSES = 1
MEDIAN_ERROR = Metric("median error", "px", higher_is_better=False, bounds=NOT_NEGATIVE)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the median pose error of all test images (see `evaluation.metrics.pose`).

    Returns:
        The result, with the error of the identity in place of a transformer as a detail.

    Raises:
        NotApplicable: if the poses are not known.
    """
    test, transform = dataset.test, dataset.pose_transform
    if transform is None or test.poses is None:
        raise NotApplicable(f"the poses of the images of {dataset.name} are not known")
    warp = predict_split(predict, test, "warp", batch_size=batch_size, name="pose")["warp"]
    errors = pose_errors(warp.grids, test.poses, transform, size=dataset.train.images.shape[1])
    each = np.mean(errors.transformed, axis=1)
    return Result(
        suite="pose",
        metric=MEDIAN_ERROR,
        value=float(np.median(each)),
        interval=median_interval(each),
        interval_method="order statistics 95 %",
        count=len(each),
        data_checksum=test.checksum,
        details={
            "without a transformer": Detail(
                float(np.median(errors.untransformed)), MEDIAN_ERROR.unit
            )
        },
    )
