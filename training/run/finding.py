"""Runs and exports by the folders that a user names, and unique names for them."""

import os
import pathlib
from collections.abc import Sequence

from common.errors import UserError
from common.files import expand
from common.stored import read_object

ZOO = pathlib.Path(__file__).parents[2] / "zoo"
"""Trained models that come with the project: an export a folder."""
_PREFIX = "zoo:"


def locate(word: str | os.PathLike[str], flag: str) -> pathlib.Path:
    """The folder of a run as a user types it, or of a model that comes with the project.

    Args:
        word: A folder, there or not, or "zoo:NAME".
        flag: What it was typed after, for the error.

    Raises:
        UserError: if it can be no folder, or the project has no such model.
    """
    if not str(word).startswith(_PREFIX):
        return expand(word, flag)
    name, models = str(word).removeprefix(_PREFIX), sorted(ZOO.glob("*/config.json"))
    for file in models:
        if file.parent.name == name:
            return file.parent
    names = ", ".join(file.parent.name for file in models)
    raise UserError(f"{flag}={word} is not in the zoo, which has {names or 'no models'}")


def find_runs(words: Sequence[str]) -> list[pathlib.Path]:
    """Each named run once; in place of a folder of runs, those in it and in its folders.

    Args:
        words: Folders as a user types them (see `locate`).

    Raises:
        UserError: if a folder is no run and has none.
    """
    found: dict[pathlib.Path, None] = {}
    for word in words:
        path = locate(word, "RUN").resolve()
        runs = [path] if (path / "config.json").is_file() else _inside(path)
        if not runs:
            raise UserError(
                f"{word} holds no run (there is no config.json in it or in a folder of it)"
            )
        found |= dict.fromkeys(runs)
    return list(found)


def _inside(folder: pathlib.Path) -> list[pathlib.Path]:
    patterns = ("*/config.json", "*/*/config.json")
    files = sorted(file for pattern in patterns for file in folder.glob(pattern))
    return [file.parent.resolve() for file in files if _is_of_a_run(file)]


def _is_of_a_run(file: pathlib.Path) -> bool:
    """True if a config.json is one of ours, as other programs leave such files too."""
    try:
        config = read_object(file)
    except UserError:
        return False
    return isinstance(config.get("name"), str) and isinstance(config.get("experiment"), dict)


def name_runs(workdirs: Sequence[pathlib.Path]) -> list[str]:
    """A name for each run: its folder's, after those of as many parents as make it unique."""
    names = [path.name for path in workdirs]
    for depth in range(2, 1 + max((len(path.parts) for path in workdirs), default=0)):
        names = [
            "_".join(path.parts[-depth:]) if names.count(name) > 1 else name
            for name, path in zip(names, workdirs, strict=True)
        ]
    return names
