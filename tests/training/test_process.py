import os
import pathlib
import subprocess
import sys

import jax
import pytest

from training import process

_ALLOCATE = """
import pathlib, resource, sys
from training import process
if sys.argv[1] == "keep":
    assert process.keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2):
    block = bytearray(b"x") * (64 << 20)
    del block
before = faults()
for _ in range(10):
    block = bytearray(b"x") * (64 << 20)
    del block
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's C library is on Linux")
def test_freed_memory_is_found_again_without_page_faults():
    def page_faults(choice):
        finished = subprocess.run(
            [sys.executable, "-c", _ALLOCATE, choice], capture_output=True, text=True, check=True
        )
        return int(finished.stdout)

    assert page_faults("keep") < 0.1 * page_faults("leave")


@pytest.fixture
def cache_setting():
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_compiled_programs_lie_in_the_users_cache(cache_setting, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = process.keep_compiled_programs()
    assert folder == tmp_path / "capsnet-stn" / "compiled"
    assert folder.is_dir()
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_a_folder_that_the_user_chose_stays(cache_setting, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert process.keep_compiled_programs() == tmp_path


def test_a_home_that_cannot_be_written_is_no_error(cache_setting, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert process.keep_compiled_programs() is None
    assert jax.config.jax_compilation_cache_dir is None


_COMPILE = """
import jax
from training import process
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(process.keep_compiled_programs())
print(jax.jit(lambda x: x * 3.0 + 1.0)(2.0))
"""


def test_a_damaged_entry_is_compiled_again(tmp_path):
    def compute():
        finished = subprocess.run(
            [sys.executable, "-c", _COMPILE],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return finished.stdout.splitlines()

    folder, result = compute()
    assert result == "7.0"
    entries = [entry for entry in pathlib.Path(folder).iterdir() if entry.stat().st_size]
    assert entries
    for entry in entries:  # as if killed while it was written
        entry.write_bytes(entry.read_bytes()[: entry.stat().st_size // 2])
    assert compute() == [folder, "7.0"]
