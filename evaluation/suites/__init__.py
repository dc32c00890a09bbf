"""One suite a file; a file's name is the suite's name.

A suite has `evaluate(predict, dataset, *, batch_size) -> Result | None`; None says that it does not
apply to such a model or such data.
"""

import difflib
import importlib
import pkgutil

from data.errors import UserError


def names() -> list[str]:
    """The names of all suites."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str):
    """The module of a suite.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.0)
        raise UserError(f"suite {name!r} does not exist; there are: {', '.join(near)}")
    return importlib.import_module(f"{__name__}.{name}")
