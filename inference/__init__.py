"""Loading of a run's folder as a model that can be used, or evaluated."""

from inference.restore import RestoredRun, restore_run
from inference.subjects import of_custom_model, of_run

__all__ = ["RestoredRun", "of_custom_model", "of_run", "restore_run"]
