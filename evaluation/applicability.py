"""Requirements of suites on models and data, and the reason why a suite does not apply."""

from collections.abc import Sequence

from data.dataset import Dataset
from evaluation.model import Predictor

# A requirement of the data, among those of the model.
IMAGES = "images"


class NotApplicable(Exception):  # noqa: N818 - a reason, not a mistake
    """A suite cannot measure such a model, or such data; the message is the reason, one line."""


def check(requires: Sequence[str], model: Predictor, dataset: Dataset) -> None:
    """Raises a `NotApplicable` that names the first requirement which is not met.

    Args:
        requires: Names of fields of the model's output, "activations", "differentiable", "cost",
            or "images" (not volumes).
        model: Its fields are looked up, and none is computed.
        dataset: Its test images are looked at.
    """
    for name in requires:
        if name == IMAGES:
            if dataset.test.images.ndim != 4:
                raise NotApplicable(f"{dataset.name} has volumes, not images")
        elif not model.has(name):
            raise NotApplicable(f"the model has no `{name}`")
