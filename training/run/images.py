"""The images that a run began with, so that it does not go on with others."""

import pathlib

from common.errors import UserError
from common.files import write_json
from data.dataset import Dataset
from training.run.faults import read_json

_FILE = "images.json"


def check_unchanged(folder: pathlib.Path, dataset: Dataset) -> None:
    """Raises a `UserError` if a run would go on with other files than it began with.

    Args:
        folder: Of a run that has checkpoints; one that is older than such notes has none.
        dataset: As it is now.
    """
    if not (folder / _FILE).exists():
        return
    stored = read_json(folder / _FILE)
    began = stored.get("files") if isinstance(stored, dict) else None
    if began != dataset.fingerprint:
        raise UserError(
            f"{dataset.name} has changed since the run in {folder} began (then {began!r:.200}; now "
            f"{dataset.fingerprint!r}); restore it, or choose another --workdir, which may start "
            f"from the weights that are there by --init_from={folder}"
        )


def note(folder: pathlib.Path, dataset: Dataset) -> None:
    """Notes the files of a run's images, where they are known."""
    if dataset.fingerprint:
        write_json(folder / _FILE, {"files": dataset.fingerprint})
