"""Loading of a run's folder as a model that can be used, or evaluated."""

from inference import image_files
from inference.restore import RestoredRun, restore_run
from inference.subjects import of_custom_model, of_run
from inference.trained_model import Predictions, TrainedModel, load_model

__all__ = [
    "Predictions",
    "RestoredRun",
    "TrainedModel",
    "image_files",
    "load_model",
    "of_custom_model",
    "of_run",
    "restore_run",
]
