"""The rooms' import arrows point one way."""

import ast
import sys

import pytest

from tests.conftest import ROOT

# What each room may import of the others; prefixes name the only modules that it may reach.
ARROWS = {
    "common": [],
    "cnn": [],
    "capsnet": ["cnn"],
    "data": ["common", "stn.transforms", "stn.sampling"],
    "evaluation": ["common", "data", "stn.transforms", "stn.sampling", "stn.diagnostics"],
    "training": ["common", "data", "evaluation"],
    "stn": ["cnn"],
}
ROOMS = {*ARROWS, "configs", "benchmarks", "tests"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name, prefix):
    return name == prefix or name.startswith(f"{prefix}.")


@pytest.mark.parametrize("room", sorted(room for room in ARROWS if (ROOT / room).is_dir()))
def test_a_room_imports_only_what_it_may(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            if name.split(".")[0] in ROOMS - {room}:
                assert any(inside(name, prefix) for prefix in ARROWS[room]), f"{path}: {name}"


def test_models_need_only_jax_and_flax():
    allowed = {"jax", "flax", "jaxtyping", "numpy", "capsnet", "cnn", "stn"}
    standard = {"collections", "dataclasses", "functools", "itertools", "math", "typing"}
    for room in ("capsnet", "cnn", "stn"):
        for path in (ROOT / room).rglob("*.py"):
            assert {name.split(".")[0] for name in imports(path)} <= allowed | standard, path


def test_what_all_rooms_need_needs_little():
    for path in (ROOT / "common").rglob("*.py"):
        used = {name.split(".")[0] for name in imports(path)}
        assert used <= {"numpy", "common", *sys.stdlib_module_names}, path


def test_commands_stay_short():
    for command in ("train.py",):
        assert len((ROOT / command).read_text().splitlines()) <= 60
