import os
import pathlib
import subprocess
import sys

import jax
import pytest

from common.errors import UserError
from tests.conftest import ROOT
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


@pytest.mark.parametrize("caches", ["", "relative/caches"])
def test_a_cache_that_is_not_absolute_does_not_count(cache_setting, monkeypatch, tmp_path, caches):
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert process.keep_compiled_programs() == tmp_path / ".cache" / "capsnet-stn" / "compiled"


def test_a_user_without_a_home_compiles_without_a_cache(cache_setting, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(pathlib.Path, "home", no_home)
    assert process.keep_compiled_programs() is None
    monkeypatch.setattr(pathlib.Path, "home", lambda: pathlib.Path("."))  # HOME is empty
    assert process.keep_compiled_programs() is None


_PRINT = """
import os, sys
from common import commands
commands.steady_screen()
print("caf\u00e9 \u2588", flush=True)
for _ in range(3):
    print("x" * 100_000)
sys.stdout.flush()
print("done", file=sys.stderr)
opened = os.open(os.devnull, os.O_RDONLY)
assert opened > 2, opened
"""


def printed(redirection, **environment):
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "$0" {redirection}', _PRINT],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("redirection", "errors"),
    [
        ("| true", b"done\n"),
        (">&-", b"done\n"),
        ("> /dev/full", b"done\n"),
        (">&- 2>&- <&-", b""),
        ("2> /dev/full", b""),
    ],
)
def test_a_screen_that_goes_away_ends_nothing(redirection, errors):
    finished = printed(redirection)
    assert (finished.returncode, finished.stderr) == (0, errors)


def test_a_character_that_the_screen_lacks_ends_nothing():
    finished = printed("", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(b"caf\xe9 ?\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense", 2, 0), "--coordinator=nonsense: give HOST:PORT"),
        (("host:", 2, 0), "give HOST:PORT"),
        ((":1234", 2, 0), "give HOST:PORT"),
        (("http://host:1234", 2, 0), "give HOST:PORT"),
        (("127.0.0.1:0", 2, 0), "give HOST:PORT"),
        (("127.0.0.1:65536", 2, 0), "give HOST:PORT"),
        (("127.0.0.1:12x", 2, 0), "give HOST:PORT"),
        (("1:2:3", 2, 0), "give HOST:PORT"),
        (("", 2, 0), "--coordinator=: give HOST:PORT"),
        (("no host:1234", 2, 0), "give HOST:PORT"),
        ((f"{'a' * 70}.b:1234", 2, 0), "no such host a"),
        (("127.0.0.1:1234", 0, 0), "--processes=0"),
        (("127.0.0.1:1234", -2, 0), "--processes=-2"),
        (("127.0.0.1:1234", 2, 2), r"--process=2: must be in \[0, 2\)"),
        (("127.0.0.1:1234", 2, -1), "--process=-1"),
        ((None, 2, 0), "--processes=2 needs --coordinator"),
        ((None, 1, 1), "--process=1"),
    ],
)
def test_processes_that_cannot_come_together_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        process.join_processes(*arguments)


def test_one_process_has_nobody_to_join():
    process.join_processes(None, 1, 0)


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
