"""Studies: one a file, run by `python study.py NAME`; `STUDY` says what is asked and compared."""

import ast
import difflib
import importlib
import pathlib
import pkgutil

from common.errors import UserError, first_line
from common.limits import shown
from evaluation.comparison.study import Study

_FOLDER = pathlib.Path(__file__).parent


def names() -> list[str]:
    """The names of all studies."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def load(name: str) -> Study:
    """The study of a name.

    Raises:
        UserError: if there is none, or nothing could come of it.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise UserError(f"no study is called {shown(name)}{meant} there are {', '.join(names())}")
    study = importlib.import_module(f"{__package__}.{name}").STUDY
    try:
        study.check()
    except ValueError as error:
        raise UserError(f"studies/{name}.py: {first_line(error)}") from error
    return study


def catalogue() -> str:
    """Every study's name with the first line of its docstring."""
    width = max(map(len, names()))
    lines = {
        name: (ast.get_docstring(ast.parse((_FOLDER / f"{name}.py").read_bytes())) or "")
        for name in names()
    }
    return "\n".join(f"{name:{width}}  {text.splitlines()[0]}" for name, text in lines.items())
