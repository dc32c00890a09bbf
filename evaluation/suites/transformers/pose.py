"""How far spatial transformers are from the true pose; only for generated images."""

import numpy as np

from data.dataset import Dataset
from evaluation.applicability import NotApplicable
from evaluation.metrics.pose import pose_errors
from evaluation.model import Predict, predict_split
from evaluation.results.result import Result
from evaluation.statistics.intervals import median_interval

REQUIRES = ("warp",)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Median over all test images of the pose error (see `evaluation.metrics.pose`), in pixels.

    Returns:
        The result, with the error of reading the image as it is beside it.

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
        metric="median error",
        unit="px",
        value=float(np.median(each)),
        interval=median_interval(each),
        interval_method="order statistics 95 %",
        count=len(each),
        data_checksum=test.checksum,
        details={"without a transformer": float(np.median(errors.untransformed))},
    )
