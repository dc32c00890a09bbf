"""The configurations by their names."""

import ast
import dataclasses
import difflib
import importlib
import inspect
import pathlib
import pkgutil
from collections.abc import Sequence

from common.errors import UserError, first_line
from common.limits import shown
from training.config_types import to_json
from training.experiment import Experiment, differences

_FOLDER = pathlib.Path(__file__).parent
LIST = "list"
"""The word that `--config` takes in the place of a name, to have them all listed."""


def names() -> list[str]:
    """The names that `--config` takes."""
    found = (module.name for module in pkgutil.iter_modules([str(_FOLDER)]))
    return sorted(name for name in found if not name.startswith("_"))


def load(name: str) -> Experiment:
    """The experiment of a name, or of "NAME:ARGUMENT" where a configuration takes an argument.

    Raises:
        UserError: if there is no such configuration, or the argument does not fit.
    """
    stem, colon, argument = name.partition(":")
    asked = f"--config={shown(name)[1:-1]}"
    if stem not in names():
        raise UserError(
            f"{asked}: no such configuration; {nearest(stem, names())}; --config={LIST} says what "
            "they are"
        )
    try:
        get_config = importlib.import_module(f"{__package__}.{stem}").get_config
    except ImportError as error:
        raise UserError(
            f"{asked}: {__package__}/{stem}.py cannot be imported: {first_line(error)}"
        ) from error
    if not colon:
        return get_config()
    if not inspect.signature(get_config).parameters:
        raise UserError(f"{asked}: {stem} takes no argument; leave out :{shown(argument)[1:-1]}")
    if not argument:
        raise UserError(f"{asked}: name an argument after the colon, or leave out the colon")
    try:
        return get_config(argument)
    except ValueError as error:
        raise UserError(f"{asked}: {first_line(error)[:300]}") from error


def describe(name: str, experiment: Experiment) -> str:
    """The configuration's name, and the fields in which an experiment differs from it.

    Runs that differ in their seed alone have the same description.
    """
    try:
        plain = load(name)
    except UserError:  # the run is older than the configurations here
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
