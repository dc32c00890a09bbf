"""Co-localisation: share of digits that a spatial transformer's window finds, in generated images.

Appendix A.2 of Jaderberg et al. (2015): a digit counts as found if the intersection of window and
digit is more than half of their union.
"""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.model import Predict, predict_split
from evaluation.results.quantities import Metric, shares
from evaluation.results.result import Result, rate
from stn.diagnostics import frame
from stn.transforms import Affine

REQUIRES = ("warp",)
PASSES = 1
FOUND = Metric("found", higher_is_better=True)
_MIN_OVERLAP = 0.5


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the share of the test images whose window overlaps the digit by more than 0.5.

    The digit is the whole frame of the source's image (28x28 pixels of MNIST), its empty border
    included: the paper leaves open if it means that or the tight box of the ink. The window
    is the box around the transformer's sampling points, as far as it lies on the canvas.

    Returns:
        The result, with the share of the validation images as a detail, which in co-localisation
        are those that the model was trained on.

    Raises:
        NotApplicable: if the model has several spatial transformers, or the images have not one
            object with a known affine pose.
    """
    transform = dataset.pose_transform
    if not isinstance(transform, Affine) or transform.dims != 2:
        raise NotApplicable(f"the images of {dataset.name} have no affine poses")
    hits = {}
    for role in ("test", "validation"):
        split = getattr(dataset, role)
        if split.poses is None or split.poses.shape[1] != 1:
            raise NotApplicable(f"the images of {dataset.name} have not one object each")
        warp = predict_split(predict, split, "warp", batch_size=batch_size, name=role)["warp"]
        grids = warp.grids
        if grids.shape[1] != 1:
            raise NotApplicable("the model has several spatial transformers")
        windows = np.clip(_boxes(frame(jnp.asarray(grids[:, 0]))), -1.0, 1.0)
        hits[role] = overlap(windows, _digit_boxes(split, transform)) > _MIN_OVERLAP
    details = shares(on_the_validation_images=np.mean(hits["validation"]))
    return rate("colocalisation", FOUND, hits["test"], dataset.test, details=details)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes the intersection over union of boxes.

    Args:
        first: `[boxes, 2, 2]`: smallest and largest corner, (x, y).
        second: The same number.

    Returns:
        `[boxes]`, in [0, 1].
    """
    low, high = np.maximum(first[:, 0], second[:, 0]), np.minimum(first[:, 1], second[:, 1])
    common = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = (np.prod(boxes[:, 1] - boxes[:, 0], axis=-1) for boxes in (first, second))
    return common / (sum(areas) - common)


def _digit_boxes(split: Split, transform: Affine) -> np.ndarray:
    """Finds the boxes around the frames of the images that were placed on the canvas."""
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], np.float32)
    back = transform.inverse(jnp.asarray(split.poses)[:, 0])
    return _boxes(transform.apply(back, jnp.broadcast_to(corners, (len(split), 4, 2))))


def _boxes(points) -> np.ndarray:
    return np.stack([np.min(points, axis=1), np.max(points, axis=1)], axis=1)
