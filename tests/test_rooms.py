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
    "evaluation": [
        "cnn.output",
        "common",
        "data",
        "stn.transforms",
        "stn.sampling",
        "stn.diagnostics",
    ],
    "training": ["cnn.output", "common", "data", "evaluation"],
    "inference": ["cnn.output", "common", "data", "evaluation", "training"],
    "stn": ["cnn"],
    "equivariant": ["cnn", "stn.sampling"],
    "studies": ["common", "evaluation.comparison"],
}
ROOMS = {*ARROWS, "configs", "benchmarks", "playground", "tests"}


def imports(path):
    for node in _nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes(tree):
    """Every node but those that only a type checker sees."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        pending += ast.iter_child_nodes(node)


def modules():
    """The modules of all rooms, by name, with the modules that each imports."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for room in (*ARROWS, "configs", "playground")
        for path in (ROOT / room).rglob("*.py")
    }

    def module_of(name):
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name

    return {
        name: {module_of(other) for other in imports(path)} - {"", name}
        for name, path in files.items()
    }


def circle(arrows):
    """Nodes of a graph that lead back to each other; none if there are no such."""
    left = {node: set(others) & arrows.keys() for node, others in arrows.items()}
    while ends := {node for node, others in left.items() if not others}:
        left = {node: others - ends for node, others in left.items() if node not in ends}
    return sorted(left)


def test_no_module_imports_itself_by_way_of_others():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"]
    assert circle(modules()) == []


def test_the_rooms_of_the_evaluation_form_no_circle():
    arrows = {}
    for name, others in modules().items():
        # Commands may import anything, and nothing imports them.
        if name.startswith("evaluation.") and not name.endswith(".__main__"):
            room, *reached = [".".join(each.split(".")[:2]) for each in (name, *others)]
            arrows.setdefault(room, set()).update(set(reached) - {room})
    assert len(arrows) > 8
    assert circle(arrows) == []


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
    allowed = {"jax", "flax", "jaxtyping", "numpy", "capsnet", "cnn", "equivariant", "stn"}
    standard = {"collections", "dataclasses", "functools", "itertools", "math", "typing"}
    for room in ("capsnet", "cnn", "equivariant", "stn"):
        for path in (ROOT / room).rglob("*.py"):
            assert {name.split(".")[0] for name in imports(path)} <= allowed | standard, path


def test_what_all_rooms_need_needs_little():
    for path in (ROOT / "common").rglob("*.py"):
        used = {name.split(".")[0] for name in imports(path)}
        assert used <= {"numpy", "common", *sys.stdlib_module_names}, path


def test_commands_stay_short():
    doors = list(ROOT.glob("*.py"))
    commands = {"train.py", "evaluate.py", "predict.py", "export.py", "study.py"}
    assert commands <= {door.name for door in doors}
    for door in doors:
        assert len(door.read_text().splitlines()) <= 60, door
