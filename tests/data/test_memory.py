"""The memory that images may take, on machines and in containers."""

import os

import pytest

from common.errors import UserError
from data import memory


@pytest.fixture
def limits(monkeypatch, tmp_path):
    paths = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    monkeypatch.setattr(memory, "_LIMITS", paths)
    return paths


@pytest.mark.parametrize("version", [0, 1])
def test_a_container_has_the_memory_that_it_is_allowed(limits, version):
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.physical() == host
    for written in ("max\n", "-1\n", f"{2**63 - 4096}\n", ""):
        limits[version].write_text(written)
        assert memory.physical() == host
    limits[version].write_text("2000000\n")
    assert memory.physical() == 2_000_000
    memory.check_fits((1000, 1000), "dataset.canvas=1000")
    with pytest.raises(UserError, match=r"^dataset\.canvas=1001: .* this machine's 0\.002 GB"):
        memory.check_fits((1000, 1001), "dataset.canvas=1001")


def test_without_a_way_to_ask_nothing_is_too_large(limits, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    memory.check_fits((10**6, 10**6), "dataset.canvas=1000000")
    limits[0].write_text("2000000\n")
    assert memory.physical() == 2_000_000
