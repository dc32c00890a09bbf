"""Experiments of a user's own files and modules, outside of this project.

A run stores a public name of where its experiment comes from, "routings.py" or "package.module",
and types that are defined there by names that begin with it. A run's folder may be a stranger's: no
such name is imported unless the user's own command line names the file or module.
"""

import contextlib
import importlib
import importlib.util
import os
import pathlib
import re
import sys
import traceback
import types
from collections.abc import Iterator, Sequence

from common.errors import UserError, first_line, printable
from common.files import expand

# A file's ending is looked for from the left, so that an argument may hold anything.
_FILE = re.compile(r"(.+?\.py)(?::(.*))?")
_MODULE = re.compile(r"\w+(\.\w+)+")
# What a user's own code may raise, `sys.exit` among it.
_ERRORS = (Exception, SystemExit)
# A run's name is a line of its records, and an argument follows.
_MAX_NAME = 100


def split(name: str) -> tuple[str, str | None]:
    """The name of a configuration, a file or a module, and the argument after its colon."""
    if found := _FILE.fullmatch(name):
        return found[1], found[2]
    stem, colon, argument = name.partition(":")
    return stem, argument if colon else None


def is_outside(stem: str) -> bool:
    """True if a name is that of a file, or of a module of a package."""
    return bool(_FILE.fullmatch(stem) or _MODULE.fullmatch(stem))


def public(stem: str) -> str:
    """The name under which runs store a file or module: without folders, which others lack."""
    return pathlib.PurePath(stem).name


def import_code(code: Sequence[str]) -> tuple[str, ...]:
    """Imports the files and modules of a user's own that `--code` names.

    Args:
        code: As the user typed them.

    Returns:
        The same, for `configs.load`.

    Raises:
        UserError: if one is neither, is not there, or importing it raises anything.
    """
    for word in dict.fromkeys(code):
        if not is_outside(word) or split(word)[1] is not None:
            raise UserError(f"--code={word}: name a file, as in path/to/file.py, or package.module")
        imported(word, f"--code={word}")
    return tuple(code)


def imported(stem: str, asked: str) -> types.ModuleType:
    """Imports a file, or a module that is looked for in the working directory too.

    Args:
        stem: Of either, as the user typed it.
        asked: The flag that named it, with its value, for messages.

    Raises:
        UserError: if there is none, or importing it raises anything.
    """
    if not _FILE.fullmatch(stem):
        _add_to_path(os.getcwd())
        with one_line(asked, _origin(stem, asked)):
            return importlib.import_module(stem)
    path = expand(stem, asked.partition("=")[0]).resolve()
    if not path.is_file():
        raise UserError(f"{asked}: there is no file {path}")
    if len(path.name) > _MAX_NAME or printable(path.name) != path.name:
        raise UserError(f"{asked}: give the file a name of at most {_MAX_NAME} plain characters")
    there = sys.modules.get(path.name)
    if there is not None and there.__file__ != str(path):
        raise UserError(
            f"{asked}: {there.__file__} has the same name, and runs of both could not be told "
            "apart; name one at a time, or rename one"
        )
    with one_line(asked, str(path)):
        return there or _run(path)


def _run(path: pathlib.Path) -> types.ModuleType:
    """Runs a file as the module of its name, ending included, which no package can have."""
    spec = importlib.util.spec_from_file_location(path.name, path)
    assert spec is not None  # of a file that ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.name] = module  # where the types of fields are looked up
    _add_to_path(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.name]
        raise
    return module


def _add_to_path(folder: str) -> None:
    """Lets modules of a folder be imported; last, so that none takes the place of another."""
    if folder not in sys.path:
        sys.path.append(folder)


def _origin(module: str, asked: str) -> str | None:
    with one_line(asked, None):
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # of an import in its package
            spec = None
    if spec is None:
        raise UserError(f"{asked}: there is no module {module} in {os.getcwd()}, nor installed")
    return spec.origin


@contextlib.contextmanager
def one_line(asked: str, file: str | None) -> Iterator[None]:
    """Turns what a user's own code raises into one line with its type, message and line.

    Args:
        asked: The flag that named the code, with its value.
        file: Of the code; None for none.
    """
    try:
        yield
    except UserError:
        raise
    except _ERRORS as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if file is not None and frame.filename == file]
        if isinstance(error, SyntaxError) and error.filename == file:
            lines.append(error.lineno)
        where = f"line {lines[-1]}: " if lines else ""
        raise UserError(f"{asked}: {where}{type(error).__name__}: {first_line(error)}") from error
