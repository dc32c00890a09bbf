"""Files of records, which may come from a stranger: read with limits, and never as code.

Whatever is wrong with one is said in one line that names the file. JSON is of plain values, at most
so large and so deep, and arrays are of numbers, no larger than the file says before they are read.
"""

import contextlib
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from common.errors import UserError

# Far above what is written here: the longest record has 61 KB of JSON, and 31 KB of arrays.
_MAX_JSON_BYTES = 64 << 20
_MAX_ARRAY_BYTES = 256 << 20
_MAX_ARRAYS = 20_000
_MAX_TEXT = 100_000
MAX_NUMBER = 1e30
"""Bound of all numbers: nothing here measures more; squares of larger ones overflow float32."""

Kinds = type | tuple[type, ...]
Number = (int, float)
Nothing = type(None)


WRONG_CONTENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Raised by whoever takes content for what it is not."""


@contextlib.contextmanager
def damaged(path: pathlib.Path) -> Iterator[None]:
    """Turns whatever reading a file raises into one line that names it."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except WRONG_CONTENT as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{path} is damaged ({reason})") from error
    except (
        EOFError,
        MemoryError,
        NotImplementedError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is damaged ({reason})") from error


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """The JSON object in a file, of numbers that are finite and below `MAX_NUMBER`.

    Raises:
        UserError: if the file cannot be read or holds something else.
    """
    with damaged(path):
        _check_size(path, _MAX_JSON_BYTES)
        return _object(path.read_text(encoding="utf-8"))


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The JSON objects in the lines of a file, each as `read_object` wants one.

    Raises:
        UserError: if the file cannot be read or a line holds something else.
    """
    with damaged(path):
        _check_size(path, _MAX_JSON_BYTES)
        text = path.read_text(encoding="utf-8")
        return [_object(line) for line in text.split("\n") if line.strip()]


def _object(text: str) -> dict[str, Any]:
    if not text.strip():
        raise ValueError("it is empty")
    content = json.loads(text, parse_constant=_refuse)
    if not isinstance(content, dict):
        raise TypeError(f"it holds a {type(content).__name__} in place of an object")
    _check_values(content)
    return content


def _check_size(path: pathlib.Path, most: int) -> None:
    if not path.is_file():  # a device or a pipe has no end
        raise FileNotFoundError(None, "there is no such file")
    if path.stat().st_size > most:
        raise ValueError(f"it has more than {most >> 20} MB")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _check_values(content: Any) -> None:
    """Checks values without recursion, which a nested file would drive too deep."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.keys()
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str):
            if len(value) > _MAX_TEXT:
                raise ValueError("a text in it is too long")
        elif isinstance(value, Number) and not abs(value) <= MAX_NUMBER:
            raise ValueError("a number in it is too large")


def check_fields(content: Mapping[str, Any], fields: Mapping[str, Kinds], optional=()) -> None:
    """Raises a TypeError or KeyError unless an object has all fields, of their types.

    Args:
        content: From JSON.
        fields: Types by name; of numbers, True and False are none.
        optional: Names of fields that may be missing.
    """
    for name, kinds in fields.items():
        if name not in content:
            if name in optional:
                continue
            raise KeyError(name)
        value = content[name]
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{name} is a {type(value).__name__}, not a {wanted}")


def check_object(stored: Any, fields: Mapping[str, Kinds], name: str, optional=()) -> None:
    """Raises as `check_fields`, and a TypeError for what is no object, or has other fields.

    Args:
        stored: From JSON.
        fields: Types by name.
        name: What the object is, for the error.
        optional: Names of fields that may be missing.
    """
    if not isinstance(stored, dict):
        raise TypeError(f"{name} is a {type(stored).__name__}")
    check_fields(stored, fields, optional)
    if surplus := stored.keys() - fields.keys():
        raise TypeError(f"{name} has {', '.join(sorted(map(repr, surplus)))[:80]}")


def check_numbers(values: Any, name: str) -> None:
    """Raises a TypeError unless all of some values are finite numbers."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, Number) or not math.isfinite(value):
            raise TypeError(f"{name} has {str(value)[:40]!r}, which is no number")


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by name.

    Each has a header that says its type and shape; nothing is allocated before these are known to
    fit what the archive says that it holds.

    Raises:
        UserError: if the file cannot be read, holds objects, or more than could be a record's.
    """
    with damaged(path):
        _check_size(path, _MAX_ARRAY_BYTES)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if len(members) > _MAX_ARRAYS or total > _MAX_ARRAY_BYTES:
                raise ValueError(f"it unpacks to {len(members):,} arrays of {total:,} bytes")
            return {
                member.filename.removesuffix(".npy"): _read_array(archive, member)
                for member in members
            }


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, kind = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"an array of version {version}")
        if kind.kind not in "biuf":
            raise ValueError(f"an array of {kind} in place of numbers")
        size = math.prod(shape) * kind.itemsize
        if size > member.file_size or any(length < 0 for length in shape):
            raise ValueError(f"an array of shape {shape} in {member.file_size} bytes")
        content = np.frombuffer(file.read(size), kind)
        return content.reshape(shape, order="F" if fortran else "C")
