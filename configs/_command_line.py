"""Parsing of a command line to an experiment, or to one line that names its fault."""

import difflib
import re
import sys
import textwrap
from collections.abc import Sequence

from absl import flags

from common.errors import UserError, first_line
from common.limits import shown
from configs import _overrides
from configs._catalogue import LIST, Chosen, catalogue, choose, names
from training.experiment import Experiment

_HELP = ("help", "h", "?", "helpshort", "helpfull", "helpxml")
_CONFIG = {
    "config=NAME": "Name of a file in configs/, your own file (path/to/file.py), or a module "
    "(package.module); what has get_config(argument) takes NAME:ARGUMENT.",
    f"config={LIST}": "Lists the names, and ends.",
    "init_from=RUN": "Starts from the weights of a run, as far as they fit; stored as a field.",
    "config.FIELD=VALUE": "Overrides a field; --help with a --config lists its fields.",
}


def parse_flags(arguments: Sequence[str]) -> Chosen:
    """Parses a command line into absl's flags and the experiment that it names.

    Of a flag that is given several times the last one counts. `--help` and `--config=list` print
    what they are asked for and end the process.

    Args:
        arguments: The program's name and its arguments.

    Returns:
        What the run is called, and the experiment with all overrides applied.

    Raises:
        UserError: if anything on the command line is unknown or does not fit.
    """
    try:
        given = flags.FLAGS.read_flags_from_files(list(arguments[1:]), force_gnu=True)
    except flags.Error as error:
        raise UserError(first_line(error)) from error
    given = [re.sub("^--?(?=init_from(=|$))", "--config.", word) for word in given]
    name, rest = _take_config(given)
    if any(word[:1] == "-" and word.lstrip("-") in _HELP for word in rest):
        print(_help(name, full="--helpfull" in rest))
        sys.exit()
    if name == LIST:
        print(catalogue())
        sys.exit()
    if not name:
        raise UserError(_without_config(rest))
    chosen = choose(name)
    experiment, rest = _choose_parts(rest, chosen.experiment)
    overrides, rest = _take_overrides(rest, experiment)
    for path, (text, hint) in overrides.items():
        experiment = _with_field(experiment, path, _overrides.parse(path, text, hint))
    try:
        remaining = flags.FLAGS([arguments[0], *rest])
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown_flag(error.flagname, experiment)) from error
    except flags.Error as error:
        raise UserError(first_line(error)) from error
    if len(remaining) > 1:
        raise UserError(_unexpected(remaining[1], experiment))
    return chosen._replace(experiment=experiment)


def _take_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Takes `--config NAME` or `--config=NAME` out of the arguments; the last one counts."""
    name, rest, items = None, [], list(arguments)
    while items:
        item = items.pop(0)
        if item == "--":
            return name, [*rest, item, *items]
        if item in ("--config", "-config"):
            name = items.pop(0) if items and items[0][:1] != "-" else None
        elif item.startswith(("--config=", "-config=")):
            name = item.partition("=")[2]
        else:
            rest.append(item)
    return name, rest


def _choose_parts(arguments: Sequence[str], experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Takes `--config.PATH=TYPE` out of the arguments, and puts parts of those types in.

    They go before all other overrides, for which fields a part has depends on its type.
    """
    rest, items = [], list(arguments)
    while items:
        item = items.pop(0)
        if item == "--":
            return experiment, [*rest, item, *items]
        flag, equals, text = item.partition("=")
        path = flag.lstrip("-").removeprefix("config.")
        if flag not in (f"-config.{path}", f"--config.{path}") or not (
            hint := _overrides.part_type(experiment, path)
        ):
            rest.append(item)
            continue
        if not equals:
            if not items:
                raise UserError(f"Missing value for flag --config.{path}")
            text = items.pop(0)
        experiment = _with_field(experiment, path, _overrides.parse(path, text, hint))
    return experiment, rest


def _take_overrides(
    arguments: Sequence[str], experiment: Experiment
) -> tuple[dict[str, tuple[str, object]], list[str]]:
    """Takes `--config.PATH=TEXT` out of the arguments.

    Returns:
        The last text of each path with the type of its field, and the other arguments.
    """
    found, rest, items = {}, [], list(arguments)
    while items:
        item = items.pop(0)
        if item == "--":
            return found, [*rest, item, *items]
        flag, equals, text = item.partition("=")
        word = flag.lstrip("-")
        if flag[:1] != "-" or not word.startswith(("config.", "noconfig.")):
            rest.append(item)
            continue
        path = word.partition(".")[2]
        hint = _overrides.field_type(experiment, path)
        if word.startswith("no"):
            if hint is not bool or equals:
                raise UserError(f"{shown(item)[1:-1]}: only a field that is true or false has it")
            text = "false"
        elif not equals and hint is bool:
            text = "true"
        elif not equals:
            if not items:
                raise UserError(f"Missing value for flag --config.{path}")
            text = items.pop(0)
        found[path] = (text, hint)
    return found, rest


def _with_field(experiment: Experiment, path: str, value: object) -> Experiment:
    try:
        return _overrides.replaced(experiment, path, value)
    except (TypeError, ValueError) as error:  # of a configuration that checks itself
        raise UserError(f"--config.{path}={shown(value)}: {first_line(error)}") from error


def _without_config(rest: Sequence[str]) -> str:
    """The message where no configuration is named, or named without the flag."""
    for before, word in zip(["", *rest], rest, strict=False):
        is_value = before.startswith("-") and "=" not in before
        if not word.startswith("-") and not is_value and (meant := _configuration_like(word)):
            return f"unexpected argument {shown(word)}; write --config={meant}"
    return f"--config is missing; choose one of {', '.join(names())}"


def _configuration_like(word: str) -> str | None:
    stem, colon, argument = word.partition(":")
    if stem.endswith(".py"):
        return word
    near = difflib.get_close_matches(stem, [*names(), LIST], n=1)
    return f"{near[0]}{colon}{argument}" if near else None


def _unexpected(word: str, experiment: Experiment) -> str:
    message = f"unexpected argument {shown(word)}"
    name, equals, text = word.partition("=")
    if equals and (meant := _overrides.suggestions(name.removeprefix("config."), experiment)):
        return f"{message}; write --config.{meant[0]}={text}"
    if (meant := _configuration_like(word)) and meant != LIST:
        return f"{message}; a run has one configuration, named as in --config={meant}"
    return f"{message}; flags start with --, and their values follow after ="


def _unknown_flag(name: str, experiment: Experiment) -> str:
    fields = _overrides.suggestions(name, experiment)
    exact = any(path.rpartition(".")[2] == name for path in fields)
    own = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.85 if exact else 0.6)
    meant = [*(f"--{flag}" for flag in near), *(f"--config.{path}" for path in fields)]
    message = f"Unknown command line flag {name!r}"
    return f"{message}; did you mean {' or '.join(meant)}?" if meant else f"{message}; see --help"


def _help(name: str | None, *, full: bool) -> str:
    """Help on the program, its flags and, of a configuration, all fields with their values."""
    parts = [(sys.modules["__main__"].__doc__ or "").strip()]
    parts.append(flags.FLAGS.get_help() if full else "\n".join(_flag_lines()))
    if name is not None and name != LIST:
        chosen = choose(name)
        fields = _overrides.leaves(chosen.experiment).items()
        parts.append(chosen.documentation)
        parts.append("\n".join(f"  --config.{path}={value}" for path, value in fields))
    return "\n\n".join(parts)


def _flag_lines() -> list[str]:
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    given = {f"{flag.name}={flag.value}": flag.help for flag in own}
    lines = ["Flags, with their defaults:"]
    for name, text in (_CONFIG | given).items():
        lines += [f"  --{name}", textwrap.indent(textwrap.fill(text or "", 90), " " * 6)]
    return lines
