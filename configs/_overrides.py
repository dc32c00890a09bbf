"""Fields of an experiment by their paths, and their values as a command line writes them."""

import contextlib
import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable
from typing import Any

from common.errors import UserError, first_line
from common.limits import shown
from configs._catalogue import nearest
from training.config_names import choices
from training.config_types import declared
from training.experiment import Experiment

_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
# An item of a tuple, perhaps in quotes.
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,'"]+)\s*(?:,|$)""")
_MEANT = 3  # names that a message suggests at most


def field_type(experiment: Experiment, path: str) -> Any:
    """The declared type of a field.

    Args:
        experiment: What has it, at any depth.
        path: Its name, after those of the fields that it lies in, with dots between.

    Raises:
        UserError: if there is no such field, or it is one that a flag cannot set.
    """
    holder, hint = _field(experiment, path)
    if _fields(holder):
        raise UserError(f"--config.{path}: name one of its fields: {', '.join(_fields(holder))}")
    if dataclasses.is_dataclass(holder) or (holder is None and hint in (Any, object)):
        raise UserError(
            f"--config.{path}: a flag sets numbers, texts, truths and tuples; what this field "
            "takes is written in a configuration, a file in configs/"
        )
    return type(holder) if hint in (Any, object) else hint


def part_type(experiment: Experiment, path: str) -> Any:
    """The declared type of a field that holds one of several dataclasses; None of any other."""
    with contextlib.suppress(UserError):
        hint = _field(experiment, path)[1]
        return hint if choices(hint) else None
    return None


def _field(experiment: Experiment, path: str) -> tuple[Any, Any]:
    """The value of a field and its declared type."""
    holder, hint, passed = experiment, None, []
    for part in path.split("."):
        if part not in _fields(holder):
            raise _unknown(experiment, path, part, passed, holder)
        hint = declared(type(holder))[part]
        holder = getattr(holder, part)
        passed.append(part)
    return holder, hint


def _unknown(
    experiment: Experiment, path: str, part: str, passed: list[str], holder: Any
) -> UserError:
    if holder is None:
        within = ".".join(passed)
        return UserError(f"--config.{path}: {within} is None in this configuration")
    elsewhere = suggestions(part, experiment) if path.count(".") == len(passed) else []
    near = difflib.get_close_matches(part, _fields(holder), n=1)
    if elsewhere and not near:
        meant = " or ".join(f"--config.{name}" for name in elsewhere)
        return UserError(f"--config.{path}: unknown field {part!r}; did you mean {meant}?")
    return UserError(f"--config.{path}: unknown field {part!r}; {nearest(part, _fields(holder))}")


def replaced(holder: Any, path: str, value: Any) -> Any:
    """A copy of a dataclass with another value in one field, at any depth."""
    name, _, rest = path.partition(".")
    if rest:
        value = replaced(getattr(holder, name), rest, value)
    return dataclasses.replace(holder, **{name: value})


def parse(path: str, text: str, hint: Any) -> Any:
    """The value of a field from its text.

    Args:
        path: Of the field, for messages.
        text: Such as "3", "1e-3", "true", "(5,6)", "5,6" or "none".
        hint: The field's declared type.

    Raises:
        UserError: if the text is no value of that type.
    """
    try:
        return _parse(text, hint)
    except ValueError as error:
        written = f"--config.{path}={shown(text)[1:-1]}"
        raise UserError(f"{written}: {first_line(error)}") from error


def _parse(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _first(text, arguments)
    if origin is typing.Literal:
        return _chosen(text, arguments)
    if parts := choices(hint):
        if text not in parts:
            raise ValueError(f"choose one of {', '.join(parts)}")
        return parts[text]()
    if origin in (tuple, list):
        return origin(_items(text, hint))
    if hint is type(None):
        if text.strip().lower() != "none":
            raise ValueError("must be none")
        return None
    if hint is bool:
        if text.strip().lower() not in _TRUTHS:
            raise ValueError("must be true or false")
        return _TRUTHS[text.strip().lower()]
    if hint in (int, float):
        return _number(text, hint)
    if hint is str:
        return text
    raise ValueError("a flag cannot set a field of this type; a configuration can")


def _number(text: str, kind: type) -> int | float:
    # Digits of other scripts are more likely a slip than meant.
    bases = ((10,), (0,)) if kind is int else ((),)  # 0 takes 0x10 too
    for base in bases if text.isascii() else ():
        with contextlib.suppress(ValueError):
            return kind(text, *base)
    example = "a whole number, such as 1000" if kind is int else "a number, such as 0.1 or 1e-3"
    raise ValueError(f"must be {example}")


def _items(text: str, hint: Any) -> list[Any]:
    """The items of a tuple, with brackets or without."""
    inside = text.strip()
    if inside[:1] + inside[-1:] in ("()", "[]"):
        inside = inside[1:-1]
    found, at = [], 0
    while at < len(inside.rstrip()):
        item = _ITEM.match(inside, at)
        if item is None:
            raise ValueError("write items with commas between, such as (1,2)")
        found.append(_unquoted(item[1].strip()))
        at = item.end()
    arguments = typing.get_args(hint) or (str,)
    if typing.get_origin(hint) is tuple and Ellipsis not in arguments:
        if len(found) != len(arguments):
            raise ValueError(f"must have {len(arguments)} items")
        return [_parse(item, kind) for item, kind in zip(found, arguments, strict=True)]
    try:
        return [_parse(item, arguments[0]) for item in found]
    except ValueError as error:
        kind = getattr(arguments[0], "__name__", arguments[0])
        raise ValueError(f"every item must be of type {kind}; {error}") from error


def _unquoted(item: str) -> str:
    quoted = len(item) > 1 and item[0] == item[-1] and item[0] in "'\""
    return item[1:-1] if quoted else item


def _first(text: str, kinds: Iterable[Any]) -> Any:
    """The value as the first type that takes it; none before a text that says so."""
    faults = []
    for kind in sorted(kinds, key=lambda kind: (kind is str, kind is not type(None))):
        try:
            return _parse(text, kind)
        except ValueError as error:
            faults.append(str(error))
    raise ValueError(" or ".join(dict.fromkeys(faults)))


def _chosen(text: str, choices: Iterable[Any]) -> Any:
    for choice in choices:
        if str(choice) == text:
            return choice
    raise ValueError(f"choose one of {', '.join(map(str, choices))}")


def _fields(holder: Any) -> list[str]:
    """The names of a dataclass's fields; none of anything else."""
    if not dataclasses.is_dataclass(holder):
        return []
    return [field.name for field in dataclasses.fields(holder) if field.init]


def leaves(holder: Any, prefix: str = "") -> dict[str, Any]:
    """The paths of all fields that hold no dataclass, with their values."""
    found = {}
    for name in _fields(holder):
        value = getattr(holder, name)
        if dataclasses.is_dataclass(value):
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def suggestions(name: str, experiment: Experiment) -> list[str]:
    """The paths of fields that are called so, or nearly, or by these initials."""
    by_name: dict[str, list[str]] = {}
    for path in sorted(leaves(experiment), key=lambda path: path.count(".")):
        by_name.setdefault(path.rpartition(".")[2], []).append(path)
    name = name.rpartition(".")[2].replace("-", "_").lower()
    alike = (
        [name] * (name in by_name),
        [known for known in by_name if "".join(word[0] for word in known.split("_")) == name],
        difflib.get_close_matches(name, by_name, n=_MEANT, cutoff=0.7),
        [known for known in by_name if name in known.split("_")],
    )
    chosen = next(filter(None, alike), [])
    return [path for known in chosen for path in by_name[known]][:_MEANT]
