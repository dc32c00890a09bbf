"""Loading of a run's folder as a model that can be used, or evaluated."""

from inference.restore import RestoredRun, restore_run
from inference.subjects import of_custom_model, of_run
from inference.trained_model import Predictions, TrainedModel, load_model

__all__ = [
    "Predictions",
    "RestoredRun",
    "TrainedModel",
    "load_model",
    "of_custom_model",
    "of_run",
    "restore_run",
]
