"""Requirements of suites on models and data, and the reason why a suite does not apply."""

from typing import Any

from data.dataset import Dataset
from evaluation.model import Predictor

# A requirement of the data, among those of the model.
IMAGES = "images"


class NotApplicable(Exception):  # noqa: N818 - a reason, not a mistake
    """A suite cannot measure such a model, or such data; the message is the reason, one line."""


def check(suite: Any, model: Predictor, dataset: Dataset) -> None:
    """Raises a `NotApplicable` that names the first requirement which is not met.

    Args:
        suite: A module; its `REQUIRES` are names of fields of the model's output, "activations",
            "differentiable", "cost", or "images" (not volumes), and it scores images with several
            labels each only if it says so with `SEVERAL_LABELS`.
        model: Its fields are looked up, and none is computed.
        dataset: Its test images are looked at.
    """
    several = dataset.labels_per_image
    if several > 1 and not getattr(suite, "SEVERAL_LABELS", False):
        raise NotApplicable(f"images of {dataset.name} have {several} labels each, not one")
    for name in getattr(suite, "REQUIRES", ()):
        if name == IMAGES:
            if dataset.test.images.ndim != 4:
                raise NotApplicable(f"{dataset.name} has volumes, not images")
        elif not model.has(name):
            raise NotApplicable(f"the model has no `{name}`")
