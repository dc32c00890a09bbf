"""What a library user installs, and what the commands need besides."""

import ast
import re
import subprocess
import sys
import tomllib

from common import commands
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
# Names that import packages under other names.
NAMES = {"absl-py": "absl", "orbax-checkpoint": "orbax", "pillow": "PIL"}


def packages(requirements):
    return {re.match(r"[\w-]+", line)[0] for line in requirements}


LIBRARY = packages(PROJECT["dependencies"])
COMMANDS = packages(PROJECT["optional-dependencies"]["train"])


def imported(folders):
    """Third-party modules that files of some rooms, or scripts, import."""
    found = set()
    for folder in folders:
        path = ROOT / folder
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split(".")[0])
    return found - ROOMS - sys.stdlib_module_names


def named(names):
    return {NAMES.get(name, name.replace("-", "_")) for name in names}


def test_a_library_user_installs_little():
    assert {"flax", "jax", "jaxtyping", "numpy"} == LIBRARY
    assert imported(["capsnet", "cnn", "equivariant", "stn"]) <= named(LIBRARY)


def test_the_commands_need_what_their_extra_brings():
    used = imported(["common", "configs", "data", "evaluation", "inference", "training"])
    used |= imported(path.name for path in ROOT.glob("*.py"))
    optional = {"jax2onnx", "tensorboardX", "tensorflow"}
    assert used - optional <= named(LIBRARY | COMMANDS)
    unseen = {"array_record", "importlib_resources", "flatbuffers"}  # TFDS and JAX import them
    assert named(COMMANDS) - unseen <= used
    assert set(commands._PACKAGES.values()) == COMMANDS
    assert set(commands._PACKAGES) == named(COMMANDS)


def test_models_import_nothing_of_the_commands():
    # Flax itself brings optax and orbax, and these absl; JAX flatbuffers, where they are installed.
    brought = {"absl", "optax", "orbax", "importlib_resources", "requests", "flatbuffers"}
    heavy = named(COMMANDS) - brought
    script = (
        f"import sys, capsnet, cnn, equivariant, stn; print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_command_names_what_is_missing():
    script = """
import importlib.util, runpy, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("tqdm", "orbax") else find(name)
sys.argv = ["train.py", "--config", "capsnet_mnist"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: orbax-checkpoint, tqdm are not installed; the commands need "
        "pip install -e '.[train]'\n"
    )
