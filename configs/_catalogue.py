"""The configurations by their names."""

import ast
import dataclasses
import difflib
import importlib
import inspect
import pathlib
import pkgutil
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from common.errors import UserError, first_line
from common.limits import shown
from configs import _outside
from training.config_types import to_json
from training.experiment import Experiment, differences

_FOLDER = pathlib.Path(__file__).parent
_MAX_SHOWN = 200  # of a path, which is worth its room in a message
LIST = "list"
"""The word that `--config` takes in the place of a name, to have them all listed."""


def names() -> list[str]:
    """The names that `--config` takes."""
    found = (module.name for module in pkgutil.iter_modules([str(_FOLDER)]))
    return sorted(name for name in found if not name.startswith("_"))


class Chosen(NamedTuple):
    """What a command line names.

    Attributes:
        name: Of the run: of a configuration, a file or a module, with its argument.
        experiment: What it is.
        documentation: The docstring of its file.
        code: The file or module outside of this project, as the user typed it; None for none.
    """

    name: str
    experiment: Experiment
    documentation: str
    code: str | None = None

    @property
    def workdir(self) -> str:
        """The run's folder where none is named."""
        return f"runs/{re.sub('[:,]', '_', self.name.replace('.py', '', 1))}"

    def load(self, name: str) -> Experiment:
        """The experiment of a run's name, which may be of the same file or module; see `load`."""
        return load(name, () if self.code is None else (self.code,))

    def ending(self, runs: Sequence[str]) -> list[str]:
        """Where trainings lie, and the commands that evaluate them, predict by one and export it.

        Args:
            runs: Their folders.
        """
        code = [] if self.code is None else ["--code", self.code]
        commands = (
            ["evaluate.py", *runs],
            ["predict.py", runs[0], "IMAGE"],
            ["export.py", runs[0], "FOLDER"],
        )
        where = f"{self.name}: in {', '.join(runs)}; next, for example:"
        return [where, *(shlex.join(["python", *command, *code]) for command in commands)]


def choose(asked: str) -> Chosen:
    """The experiment that a user names.

    Args:
        asked: "NAME", "path/to/file.py" or "package.module", or one of these with ":ARGUMENT", in
            the user's own words: a file or module is imported.

    Raises:
        UserError: if there is none, or the argument does not fit.
    """
    stem, argument = _outside.split(asked)
    stem = _of_this_folder(stem) or stem
    name = stem if argument is None else f"{stem}:{argument}"
    if not _outside.is_outside(stem):
        return Chosen(name, load(name), documentation(stem))
    experiment = _load_outside(name)
    text = inspect.getdoc(_outside.imported(stem, _flag(name))) or ""
    return Chosen(_outside.public(stem) + name[len(stem) :], experiment, text, stem)


def _of_this_folder(stem: str) -> str | None:
    """The name of a configuration that is named by its path or module; None of anything else."""
    package, _, name = stem.rpartition(".")
    path = pathlib.Path(stem)
    if package != __package__ and not (path.suffix == ".py" and path.resolve().parent == _FOLDER):
        return None
    found = name if package == __package__ else path.stem
    return found if found in names() else None


def _unknown(name: str, stem: str) -> str:
    if _outside.is_outside(stem):
        where = f"path/to/{stem}" if stem.endswith(".py") else stem
        return f"{shown(name)} is not of this project; add --code {where}, if it is your own"
    near = difflib.get_close_matches(stem, names(), n=3)
    near = [f"{stem}.py"] if pathlib.Path(f"{stem}.py").is_file() else near
    meant = f"did you mean {' or '.join(near)}?; " if near else ""
    return f"{_flag(name)}: no such configuration; {meant}--config={LIST} says what they are"


def load(name: str, code: Sequence[str] = ()) -> Experiment:
    """The experiment of a run's name, which may be a stranger's.

    Args:
        name: "NAME" or "NAME:ARGUMENT", of a configuration or of what `code` names.
        code: Files and modules of the user's own, as the user typed them; nothing else is imported.

    Raises:
        UserError: if there is no such configuration, or the argument does not fit.
    """
    stem, argument = _outside.split(name)
    mine = {_outside.public(word): word for word in code}
    if stem in mine:
        return _load_outside(mine[stem] + name[len(stem) :])
    if stem not in names():
        raise UserError(_unknown(name, stem))
    try:
        get_config = importlib.import_module(f"{__package__}.{stem}").get_config
    except ImportError as error:
        raise UserError(
            f"{_flag(name)}: {__package__}/{stem}.py cannot be imported: {first_line(error)}"
        ) from error
    return _call(get_config, stem, argument, _flag(name))


def _load_outside(name: str) -> Experiment:
    (stem, argument), asked = _outside.split(name), _flag(name)
    module = _outside.imported(stem, asked)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise UserError(f"{asked}: it has no function get_config(), which returns an Experiment")
    with _outside.one_line(asked, module.__file__):
        found = _call(get_config, stem, argument, asked)
    if not isinstance(found, Experiment):
        kind = type(found).__name__
        raise UserError(f"{asked}: get_config() returns {kind}; a training.Experiment is needed")
    return found


def _call(get_config: Callable[..., Any], stem: str, argument: str | None, asked: str) -> Any:
    if argument is None:
        return get_config()
    if not inspect.signature(get_config).parameters:
        raise UserError(f"{asked}: {stem} takes no argument; leave out :{shown(argument)[1:-1]}")
    if not argument:
        raise UserError(f"{asked}: name an argument after the colon, or leave out the colon")
    try:
        return get_config(argument)
    except ValueError as error:
        raise UserError(f"{asked}: {first_line(error)[:300]}") from error


def _flag(name: str) -> str:
    return f"--config={shown(name, _MAX_SHOWN)[1:-1]}"


def describe(name: str, experiment: Experiment, code: Sequence[str] = ()) -> str:
    """The configuration's name, and the fields in which an experiment differs from it.

    Runs that differ in their seed alone have the same description.

    Args:
        name: See `load`.
        experiment: What the run is.
        code: See `load`.
    """
    try:
        plain = load(name, code)
    except UserError:  # it is older than the configurations here, or of code that is not named
        return name
    found = differences(
        to_json(dataclasses.replace(plain, seed=0)),
        to_json(dataclasses.replace(experiment, seed=0)),
    )
    changed = [f"{line.partition(': ')[0]}={line.rpartition(' -> ')[2]}" for line in found]
    return f"{name} ({', '.join(changed)})" if changed else name


def catalogue() -> str:
    """Every configuration's name with the first line of its docstring."""
    width = max(map(len, names()))
    lines = {name: documentation(name).splitlines()[:1] for name in names()}
    return "\n".join(f"{name:{width}}  {''.join(line)}".rstrip() for name, line in lines.items())


def documentation(name: str) -> str:
    """The docstring of a configuration's file, which is read and not run."""
    return ast.get_docstring(ast.parse((_FOLDER / f"{name}.py").read_bytes())) or ""


def nearest(name: str, choices: Sequence[str]) -> str:
    """Suggests what may have been meant, or all that there is."""
    near = difflib.get_close_matches(name, choices, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(choices)}" if choices else "it has no fields"
