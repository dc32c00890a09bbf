"""Flags of a command that uses runs, apart from those of `train.py`."""

import difflib
import sys
from collections.abc import Sequence

from absl import flags

from common.errors import UserError, first_line

_HELP = ("h", "help", "helpfull", "helpshort")


def define_checkpoint(given: flags.FlagValues) -> flags.FlagHolder[str]:
    """Defines which checkpoint of a run is taken."""
    return flags.DEFINE_enum(
        "checkpoint",
        "last",
        ["last", "best"],
        "The last step, or the best on validation.",
        flag_values=given,
    )


def define_code(given: flags.FlagValues) -> flags.FlagHolder[list[str]]:
    """Defines the user's code; see `configs._outside.import_code`."""
    return flags.DEFINE_multi_string(
        "code",
        [],
        "Your file or module that a run was trained from, which is imported; may be given "
        "several times.",
        flag_values=given,
    )


def parse(
    given: flags.FlagValues, names: Sequence[str], arguments: Sequence[str], documentation: str
) -> list[str]:
    """Parses a command line into flags; `--help` ends the process.

    Args:
        given: The flags.
        names: Of all of them, in the order of `--help`.
        arguments: The program's name and its arguments.
        documentation: Of the command, for `--help`.

    Returns:
        The words that are no flags.

    Raises:
        UserError: if a flag is unknown or its value does not fit.
    """
    if any(word[:1] == "-" and word.lstrip("-") in _HELP for word in arguments[1:]):
        print(_help(given, names, documentation))
        sys.exit(0)
    try:
        return given(arguments)[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown(error.flagname, names)) from error
    except flags.Error as error:
        raise UserError(first_line(error)) from error


def _help(given: flags.FlagValues, names: Sequence[str], documentation: str) -> str:
    lines = [f"  --{name}={given[name].default}\n      {given[name].help}" for name in names]
    return "\n".join([documentation.strip(), "", "Flags, with their defaults:", *lines])


def _unknown(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean --{near[0]}? There" if near else "there"
    return f"--{name}: there is no such flag; {meant} are --{', --'.join(names)}"
