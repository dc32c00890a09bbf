"""Files are written whole or not at all, and the error of one that cannot be names it."""

import errno
import os

import pytest

from common.files import NotWrittenError, write_all, write_text


def _full(descriptor: int) -> None:
    """Stands in for a disk that has no room for what is in its cache."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named_with_the_file_and_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "record.json"
    write_text(file, "before")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(NotWrittenError, match=r"record\.json cannot be written \(No space left"):
        write_text(file, "after")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"record.json": "before"}


def test_files_get_their_names_in_order_once_all_are_on_disk(tmp_path, monkeypatch):
    names, held = ["weights", "card", "config"], []

    def replace(source, target):
        held.append((target.name, sorted(each.name for each in tmp_path.iterdir())))
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_all({tmp_path / name: name.encode() for name in names})
    assert [name for name, _ in held] == names
    assert held[0][1] == ["card.partial", "config.partial", "weights.partial"]
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {n: n for n in names}
    (tmp_path / "card.partial").mkdir()
    with pytest.raises(NotWrittenError, match=r"card cannot be written \(Is a directory\)"):
        write_all({tmp_path / name: b"new" for name in names})
    assert [(tmp_path / name).read_text() for name in names] == names
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*names, "card.partial"])
