"""The types that stored configurations may name, and the values that their fields may hold.

A stored configuration may come from a stranger. A name in it is looked up in the table of
`training.config_names` and nowhere else, so that nothing is imported or called but the dataclasses
of configurations, and these only with values of their fields' declared types.
"""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import UserError, first_line
from common.limits import shown
from training.config_names import MODULES, OLD_NAMES, TAG, as_today, imported, name_of

# Far above any configuration; what is larger is no configuration and takes long to look at.
_MAX_DEPTH = 20
_MAX_LENGTH = 10_000
_MAX_TEXT = 500
_MAX_WHOLE = 2**63 - 1

Known = Callable[[], Mapping[str, type]]
"""Types besides those of the table, by their names; asked only for a name that is not in it."""


def types_in(config: Any) -> dict[str, type]:
    """The dataclasses that a configuration consists of, by their names."""
    if isinstance(config, tuple | list):
        return {name: kind for item in config for name, kind in types_in(item).items()}
    if not _is_config(config):
        return {}
    found = {name_of(type(config)): type(config)}
    for field in dataclasses.fields(config):
        found |= types_in(getattr(config, field.name))
    return found


def to_json(config: Any) -> Any:
    """Turns nested dataclasses into dictionaries that name their types, ready for JSON."""
    if _is_config(config):
        fields = {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {TAG: name_of(type(config)), **fields}
    if isinstance(config, tuple | list):
        return [to_json(item) for item in config]
    return config


def rebuild(stored: Any, hint: Any, known: Known, path: str = "", depth: int = 0) -> Any:
    """A value of a declared type from what JSON holds of it; lists come back as tuples.

    Args:
        stored: What `to_json` wrote, or anything else.
        hint: The declared type.
        known: See `Known`.
        path: Of the field, for messages.
        depth: How deep it lies.

    Raises:
        UserError: if it names an unknown type or field, or a value is not of its field's type.
    """
    if depth > _MAX_DEPTH:
        raise UserError(f"{path}: is nested more than {_MAX_DEPTH} deep")
    most = _MAX_TEXT if isinstance(stored, str) else _MAX_LENGTH
    if isinstance(stored, str | list | dict) and len(stored) > most:
        raise UserError(f"{path}: is longer than {most:,}")
    alternatives = typing.get_args(hint) if _is_union(hint) else (hint,)
    if isinstance(stored, dict):
        config = _rebuild_config(stored, known, path, depth)
        if not any(_may_be(config, alternative) for alternative in alternatives):
            raise _mismatch(path, name_of(type(config)), hint)
        return config
    for alternative in alternatives[:-1]:
        with contextlib.suppress(UserError):
            return _rebuild_plain(stored, alternative, known, path, depth)
    return _rebuild_plain(stored, alternatives[-1], known, path, depth)


def _rebuild_plain(stored: Any, hint: Any, known: Known, path: str, depth: int) -> Any:
    """`rebuild` of what is no dataclass, for a type that is no union."""
    if hint in (Any, object):
        hint = _plain_type(stored, path)
    origin = typing.get_origin(hint) or hint
    if isinstance(stored, list) and _takes_tuples(origin):
        hints = _item_hints(hint, len(stored))
        if len(hints) == len(stored):
            return (list if origin is list else tuple)(
                rebuild(item, item_hint, known, f"{path}[{number}]", depth + 1)
                for number, (item, item_hint) in enumerate(zip(stored, hints, strict=True))
            )
    if origin is typing.Literal and any(_same(stored, c) for c in typing.get_args(hint)):
        return stored
    if _is_plain(stored, origin):
        _check_size(stored, path)
        return stored
    raise _mismatch(path, stored, hint)


def _check_size(stored: Any, path: str) -> None:
    """Raises a `UserError` for a number or a text that no message and no array has room for."""
    if isinstance(stored, int) and abs(stored) > _MAX_WHOLE:
        raise UserError(f"{path}={shown(stored)}: must be less than 2^63")
    if isinstance(stored, str) and not stored.isprintable():
        raise UserError(f"{path}={shown(stored)}: must be one line without control characters")


def _is_plain(stored: Any, kind: Any) -> bool:
    if isinstance(stored, bool) or stored is None:
        return kind is type(stored)
    if isinstance(stored, int):
        return kind in (int, float)
    return kind in (float, str) and isinstance(stored, kind)


def _plain_type(stored: Any, path: str) -> type:
    for plain in (bool, int, float, str, type(None)):
        if isinstance(stored, plain):
            return plain
    if not isinstance(stored, list):
        raise UserError(f"{path}={shown(stored)}: cannot be stored")
    return tuple


def _rebuild_config(stored: dict, known: Known, path: str, depth: int) -> Any:
    kind = _find(stored.get(TAG), known, path)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    given = as_today(name_of(kind), {k: value for k, value in stored.items() if k != TAG})
    prefix = f"{path}." if path else ""
    hints = declared(kind)
    for name in sorted(given.keys() - fields.keys()):
        raise UserError(f"{prefix}{name[:60]}: {stored[TAG]} has no such field")
    for name, field in fields.items():
        defaults = (field.default, field.default_factory)
        if name not in given and all(default is dataclasses.MISSING for default in defaults):
            raise UserError(f"{prefix}{name}: is missing in {stored[TAG]}")
    values = {
        name: rebuild(value, hints[name], known, f"{prefix}{name}", depth + 1)
        for name, value in given.items()
    }
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path or TAG}: {stored[TAG]}: {first_line(error)}") from error


def _find(name: Any, known: Known, path: str) -> type:
    """The dataclass of a name: one of the table, or one that this machine knows besides."""
    if not isinstance(name, str):
        raise UserError(f"{path or TAG}: names no type of configuration")
    public = OLD_NAMES.get(name, name)
    if public in MODULES:
        return imported(public)
    unknown = f"{path or TAG}: {shown(name)} is no type of configuration that is known here"
    try:
        others = known()
    except UserError as error:
        raise UserError(f"{unknown}: {error}") from error
    if name not in others:
        raise UserError(
            f"{unknown}; a custom one is found through the configuration of the run's name"
        )
    return others[name]


def declared(kind: type) -> dict[str, Any]:
    """The declared types of a dataclass's fields; `Any` where they cannot be resolved."""
    try:
        return typing.get_type_hints(kind)
    except (NameError, TypeError):
        return {field.name: Any for field in dataclasses.fields(kind)}


def _item_hints(hint: Any, count: int) -> tuple:
    arguments = typing.get_args(hint)
    if not arguments:
        return (Any,) * count
    one_type = typing.get_origin(hint) is not tuple or arguments[-1] is Ellipsis
    return arguments[:1] * count if one_type else arguments


def _takes_tuples(origin: Any) -> bool:
    return origin is list or (isinstance(origin, type) and issubclass(tuple, origin))


def _may_be(config: Any, hint: Any) -> bool:
    """True if a dataclass is of a declared type; `Experiment.check` checks those of protocols."""
    if hint is Any or getattr(hint, "_is_protocol", False):
        return True
    return isinstance(hint, type) and isinstance(config, hint)


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _same(stored: Any, choice: Any) -> bool:
    return type(stored) is type(choice) and stored == choice


def _mismatch(path: str, stored: Any, hint: Any) -> UserError:
    wanted = hint.__name__ if isinstance(hint, type) else str(hint)
    return UserError(f"{path or TAG}={shown(stored)}: must be of type {wanted}")
