"""How far spatial transformers are from the true pose; only for generated images."""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.pose import pose_errors
from evaluation.model import Predict, predict_all
from evaluation.results.result import Result
from evaluation.statistics.intervals import median_interval


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result | None:
    """Median over all test images of the pose error (see `evaluation.metrics.pose`), in pixels.

    Returns:
        The result, with the error of reading the image as it is beside it; None if the model has
        no spatial transformer or the poses are not known.
    """
    warp, transform = getattr(predict, "warp", None), dataset.pose_transform
    if warp is None or transform is None or dataset.test.poses is None:
        return None
    grids = predict_all(
        lambda images: warp(images).grids, dataset.test.images, batch_size=batch_size, name="pose"
    )
    errors = pose_errors(grids, dataset.test.poses, transform, size=dataset.train.images.shape[1])
    each = np.mean(errors.transformed, axis=1)
    return Result(
        suite="pose",
        metric="median error",
        unit="px",
        value=float(np.median(each)),
        interval=median_interval(each),
        interval_method="order statistics 95 %",
        count=len(each),
        data_checksum=dataset.test.checksum,
        details={"without a transformer": float(np.median(errors.untransformed))},
    )
