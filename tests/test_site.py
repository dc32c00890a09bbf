"""The site of docs/, as far as it can be checked without building it."""

import ast
import importlib
import importlib.util
import re
import tomllib

import pytest
import yaml

import configs
from evaluation import suites
from tests.conftest import ROOT
from tests.test_rooms import ARROWS

DOCS = ROOT / "docs"
API = DOCS / "api"
NOTEBOOKS = sorted(path for path in (DOCS / "notebooks").glob("*.md") if path.name != "README.md")
MODULE = re.compile(r"^\.\. automodule:: (\S+)$", re.MULTILINE)


def entries(page):
    """The pages that toctrees of a page name, without their endings."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    named = [line for line in lines if line and not line.startswith(":")]
    files = [path for line in named for path in page.parent.glob(f"{line}.md")]
    assert all(list(page.parent.glob(f"{line}.md")) for line in named)
    return [path.relative_to(DOCS).with_suffix("").as_posix() for path in files]


def test_every_page_is_in_one_toctree():
    found = [name for page in DOCS.rglob("*.md") for name in entries(page)]
    assert len(found) == len(set(found))
    names = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert names - set(found) == {"index", "README"}


@pytest.mark.parametrize("room", sorted(ARROWS.keys() - {"studies"}))
def test_every_room_has_a_page_of_its_modules(room):
    modules = MODULE.findall((API / f"{room}.md").read_text(encoding="utf-8"))
    assert modules
    for name in modules:
        assert name.split(".")[0] == room
        assert importlib.util.find_spec(name), name


@pytest.mark.parametrize("room", ["capsnet", "cnn", "evaluation", "inference", "stn"])
def test_all_that_a_room_offers_is_on_its_page(room):
    assert importlib.import_module(room).__all__
    assert room in MODULE.findall((API / f"{room}.md").read_text(encoding="utf-8"))


def cells(path):
    text = path.read_text(encoding="utf-8")
    assert "kernelspec:\n" in text.split("---")[1]
    return re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 4
    assert all(len(cells(path)) > 5 for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_compile_and_import_what_there_is(path):
    for cell in cells(path):
        for node in ast.walk(compile(cell, str(path), "exec", ast.PyCF_ONLY_AST)):
            if isinstance(node, ast.ImportFrom) and (ROOT / node.module.split(".")[0]).is_dir():
                module = importlib.import_module(node.module)
                for alias in node.names:
                    submodule = f"{node.module}.{alias.name}"
                    assert hasattr(module, alias.name) or importlib.util.find_spec(submodule)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_name_what_there_is(path):
    code = "\n".join(cells(path))
    for name in re.findall(r'"zoo:(\w+)"', code):
        assert (ROOT / "zoo" / name / "record.json").is_file()
    for names in re.findall(r"suites=(\[[^]]+\])", code):
        assert set(ast.literal_eval(names)) <= set(suites.names())
    for name in re.findall(r'"((?:capsnet|cnn)_mnist\w*)"', code):
        assert name in configs.names()


def test_the_transformer_notebook_needs_stn_alone():
    code = "\n".join(cells(DOCS / "notebooks" / "spatial_transformer.md"))
    imported = {line.split()[1].split(".")[0] for line in code.splitlines() if "import" in line}
    assert imported == {"functools", "jax", "matplotlib", "numpy", "optax", "flax", "stn"}


def test_ci_builds_the_site_as_contributors_do():
    command = "sphinx-build -W --keep-going -n docs"
    assert command in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert command.replace(" -W", " -q -W") in (ROOT / ".ci" / "run").read_text()


def test_type_checkers_find_the_types_of_what_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages
    for package in packages:
        assert (ROOT / package / "py.typed").is_file(), package


def test_issue_templates_are_forms():
    templates = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [path.stem for path in templates] == ["bug", "feature", "result"]
    for path in templates:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= form.keys()
        identifiers = [field["id"] for field in form["body"]]
        assert len(identifiers) == len(set(identifiers))
