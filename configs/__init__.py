"""Experiments: one a file, chosen by the file's name; `get_config()` returns an `Experiment`.

This module turns `--config NAME` and `--config.FIELD=VALUE` into an experiment, and says in one
line what is wrong with a name, a field or a value that does not fit.
"""

import dataclasses
import difflib
import importlib
import inspect
import pathlib
import pkgutil
import typing
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from data.errors import UserError
from training.experiment import Experiment, differences, to_json

_FOLDER = pathlib.Path(__file__).parent


def names() -> list[str]:
    """The names that `--config` takes."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def load(name: str) -> Experiment:
    """The experiment of a name, or of "NAME:ARGUMENT" where a configuration takes an argument.

    Raises:
        UserError: if there is no such configuration, or the argument does not fit.
    """
    stem, _, argument = name.partition(":")
    if stem not in names():
        raise UserError(f"--config={stem}: no such configuration; {_nearest(stem, names())}")
    get_config = importlib.import_module(f"{__name__}.{stem}").get_config
    if not argument:
        return get_config()
    if not inspect.signature(get_config).parameters:
        raise UserError(f"--config={name}: {stem} takes no argument; leave out :{argument}")
    try:
        return get_config(argument)
    except ValueError as error:
        raise UserError(f"--config={name}: {error}") from error


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


def parse_flags(arguments: Sequence[str]) -> tuple[str, Experiment]:
    """Parses a command line into absl's flags and the experiment that it names.

    Args:
        arguments: The program's name and its arguments.

    Returns:
        The configuration's name, and the experiment with all overrides applied.

    Raises:
        UserError: if anything on the command line is unknown or does not fit.
    """
    name, rest = _take_config(arguments)
    if name is None:
        if {"--help", "--helpfull", "--helpshort", "-h"}.isdisjoint(rest):
            raise UserError(f"--config is missing; choose one of {', '.join(names())}")
        flags.FLAGS(rest)  # prints the help and exits
    experiment = load(name or "")
    overridden = [
        argument.removeprefix("--config.").partition("=")[0]
        for argument in rest[1:]
        if argument.startswith("--config.")
    ]
    for path in overridden:
        _check_field(experiment, path)
    try:
        holder = config_flags.DEFINE_config_dataclass("config", experiment, sys_argv=rest)
        remaining = flags.FLAGS(rest)
    except (flags.Error, ValueError, TypeError) as error:
        raise UserError(str(error).splitlines()[0]) from error
    if len(remaining) > 1:
        raise UserError(f"unexpected argument {remaining[1]!r}; flags start with --")
    for path in overridden:
        _check_items(holder.value, path)
    return name or "", holder.value


def _take_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Takes `--config NAME` or `--config=NAME` out of the arguments; the last one counts."""
    name, rest, items = None, [], iter(arguments)
    for item in items:
        if item in ("--config", "-config"):
            name = next(items, None)
        elif item.startswith(("--config=", "-config=")):
            name = item.partition("=")[2]
        else:
            rest.append(item)
    return name, rest


def _check_field(experiment: Experiment, path: str) -> None:
    """Follows a dotted path through the dataclasses and names the nearest field where it ends."""
    holder = experiment
    for part in path.split("."):
        fields = (
            [field.name for field in dataclasses.fields(holder)]
            if dataclasses.is_dataclass(holder)
            else []
        )
        if part not in fields:
            raise UserError(f"--config.{path}: unknown field {part!r}; {_nearest(part, fields)}")
        holder = getattr(holder, part)
    if dataclasses.is_dataclass(holder):
        fields = [field.name for field in dataclasses.fields(holder)]
        raise UserError(f"--config.{path}: name one of its fields: {', '.join(fields)}")


def _check_items(experiment: Experiment, path: str) -> None:
    """Checks the items of an overridden tuple, which the flag parser takes as they come."""
    *parents, name = path.split(".")
    holder = experiment
    for part in parents:
        holder = getattr(holder, part)
    value, hint = getattr(holder, name), typing.get_type_hints(type(holder))[name]
    if typing.get_origin(hint) is not tuple:
        return
    wanted = typing.get_args(hint)[0]
    if not all(type(item) is wanted for item in value):
        raise UserError(f"--config.{path}={value}: every item must be of type {wanted.__name__}")


def _nearest(name: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, choices, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(choices)}" if choices else "it has no fields"
