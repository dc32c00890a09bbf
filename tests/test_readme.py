"""README.md's and docs/'s commands, code, tables and links are what the project does."""

import importlib.util
import json
import pathlib
import re
import shlex
import shutil
import tomllib

import numpy as np
import pytest
import yaml

import capsnet
import configs
import studies
from configs.__main__ import page
from data.batches import DeviceSplit
from evaluation import suites
from evaluation.comparison.tables import tabulate
from evaluation.reports.figures.artifacts import figures_of
from evaluation.reports.figures.style import styles_of
from evaluation.suites.shifts import small_shifts
from tests import pages
from tests.conftest import ROOT
from tests.evaluation import made_up
from tests.test_commands import QUICK
from training.run.directory import RunDirectory

README = (ROOT / "README.md").read_text(encoding="utf-8")
EVERYTHING = "\n".join(path.read_text(encoding="utf-8") for path in pages.PAGES)
MAX_LINES = 130
MAX_WIDTH = 100
RECIPES = {
    match[1]: block
    for path in pages.PAGES
    for block in pages.python_blocks(path)
    if (match := re.match(r"# (\S+\.py)\n", block))
}


def of_root(path):
    return str(path.relative_to(ROOT))


def test_the_readme_is_short():
    assert len(README.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", pages.PAGES, ids=of_root)
def test_lines_are_short(path):
    for line in pages.by_hand(path).splitlines():
        assert len(line) <= MAX_WIDTH or line.startswith(("|", "![")), line


# Words of a sentence that says how models compare; such a sentence is a study's to generate.
COMPARING = re.compile(
    r"\b(better|best|worse|worst|beats?|outperforms?|surpass\w*|superior|inferior|wins?|ahead|"
    r"(more|less) (robust|accurate|stable|sensitive)|as (robust|accurate|stable) as)\b",
    re.IGNORECASE,
)
# What else is said with these words, of pages with results.
SAID_OTHERWISE = {
    "docs/results/robustness.md": ["matched no better than to"],
}


@pytest.mark.parametrize(
    "path", [p for p in pages.PAGES if p.name == "README.md" or "results" in p.parts], ids=of_root
)
def test_no_sentence_by_hand_compares_models(path):
    text = pages.by_hand(path)
    for sentence in SAID_OTHERWISE.get(of_root(path), []):
        assert sentence in text
        text = text.replace(sentence, "")
    assert not COMPARING.search(text), COMPARING.search(text)


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"Run the tests:\n\n    (.+)\n", README)
    assert command == "pip install -e '.[test]' && pytest -n 2"
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    assert command in lines


def test_the_readme_trains_a_capsnet():
    (command,) = re.findall(r"Train a CapsNet:\n\n    (.+)\n", README)
    assert command == "pip install -e '.[train]' && python train.py --config capsnet_mnist"


def test_the_page_of_configurations_is_that_of_their_docstrings():
    assert pages.CONFIGURATIONS.read_text(encoding="utf-8") == page()


def test_every_room_is_in_the_readme_and_on_the_page_of_rooms():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"results", "docs", "zoo"}
    described = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
    for room in rooms:
        assert f"    {room}/ " in README, room
        assert f"| `{room}/` |" in described, room


def test_every_table_is_on_a_page():
    assert {name for _, name, _ in pages.tables()} == set(pages.TABLES)


@pytest.mark.parametrize("name", pages.TABLES)
def test_the_tables_are_those_of_the_records(name):
    expected = pages.TABLES[name]()
    for path, found, table in pages.tables():
        assert found != name or table == expected, f"{path}: run python -m tests.pages"


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "path", [*pages.PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=of_root
)
def test_links_and_pictures_exist(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\[[^\]]*\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.is_file(), target
        headings = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.M) if anchor else []
        assert not anchor or anchor in map(slug, headings), target


def test_every_page_is_linked_from_an_index():
    of_the_site = {ROOT / "docs" / f"{name}.md" for name in ("index", "contributing", "changelog")}
    of_the_site |= {
        ROOT / "docs" / "results" / f"{study.parent.name}.md"
        for study in (ROOT / "results").glob("*/study.json")
    }
    for path in set(pages.PAGES[1:]) - of_the_site:
        index = path.parent if path.name != "README.md" else path.parent.parent
        linked = (index / "README.md").read_text(encoding="utf-8")
        assert f"({path.relative_to(index).as_posix()})" in linked, path


def test_files_that_pages_name_exist():
    for name in re.findall(r"`((?:\w+/)+\w+\.(?:py|json))`", EVERYTHING):
        made = name.startswith(("runs/", "reports/", "path/to/")) or name in RECIPES
        assert made or (ROOT / name).is_file(), name


def inline():
    """The commands in running text, but for those with a placeholder in capitals."""
    found = [" ".join(command.split()) for command in re.findall(r"`(python [^`]+)`", EVERYTHING)]
    return [command for command in found if not re.search(r"\b[A-Z]{2,}\b", command)]


COMMANDS = sorted({*inline(), *(line for path in pages.PAGES for line in pages.commands(path))})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line):
    script, *words = shlex.split(line)[1:]
    if script == "-m":
        assert importlib.util.find_spec(words[0]), line
        for word in words[1:]:
            assert not word.startswith("results/") or (ROOT / word).exists(), word
        return
    assert script in ("train.py", "evaluate.py", "predict.py", "export.py", "study.py"), line
    if script == "export.py":
        assert len([word for word in words if not word.startswith("-")]) == 2, line
        return
    if script == "predict.py":
        run = configs.parse_prediction([script, *words], "").run
        assert run.startswith("runs/") or RunDirectory(run).is_export, line
        return
    if script == "study.py":
        assert words[0] in ("list", *studies.names()), line
        return
    if script == "evaluate.py":
        named = re.search(r"--suites[= ](\S+)", line)
        known = {"all", *suites.names(), *(pathlib.Path(name).stem for name in RECIPES)}
        assert set(named[1].split(",") if named else []) <= known
        return
    (name,) = re.findall(r"--config[= ](\S+)", line)
    if name.partition(":")[0] in RECIPES or name == "list":
        return
    overrides = [word for word in words if word.startswith("--config.")]
    assert configs.parse_flags(["train.py", f"--config={name}", *overrides])[0] == name


def test_flags_exist():
    rooms = ("benchmarks", "configs", "evaluation", "playground", "training")
    sources = [
        *ROOT.glob("*.py"),
        *(path for room in rooms for path in (ROOT / room).rglob("*.py")),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    known = set(re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", text))
    known |= set(re.findall(r"add_argument\(\s*\"--(\w+)\"", text))
    known |= {"config", "help", "init_from", "no"}  # --no-deps is pip's
    for flag in re.findall(r"(?<=[ `])--(\w+)", EVERYTHING):
        assert flag in known, flag


def test_overrides_in_running_text_are_fields():
    holders = [configs.load(name) for name in configs.names()]
    for path in set(re.findall(r"`--config\.([\w.]+)", EVERYTHING)):
        assert any(has(holder, path.split(".")) for holder in holders), path


def has(holder, parts):
    return not parts or (hasattr(holder, parts[0]) and has(getattr(holder, parts[0]), parts[1:]))


def check_task(found):
    import jax

    images = DeviceSplit(jax.numpy.ones((2, 28, 28, 1), "uint8"), jax.numpy.arange(2))
    batch = found["task"].generate(jax.random.key(0), images, jax.numpy.arange(2))
    assert batch.images.shape == (2, 40, 40, 1)


def check_features(found):
    from data.sources import examples

    assert found["FEATURES"].items() <= examples.FEATURES.items()


def check_shape(name, shape):
    def check(found):
        assert getattr(found[name], "images", found[name]).shape == shape

    return check


def check_tables(found):
    (table,) = found["tables"]
    assert table.rows[0].headlines["brightness"].value == 1.0
    assert {row.suite for row in table.rows} == {"clean", "rotation"}


def check_metric(found):
    assert found["JAGGEDNESS"] == small_shifts.JAGGEDNESS


def check_figure(found):
    histogram = found["Histogram"](np.arange(3))
    (table,) = tabulate([made_up.record("net", made_up.clean(0.5, artifacts=(histogram,)))])
    (planned,) = figures_of(table.rows, styles_of(table.models))
    assert len(planned.draw().axes[0].lines) == 1


CHECKS = {
    "JAGGEDNESS": check_metric,
    "draw_histograms": check_figure,
    "tables": check_tables,
    "task": check_task,
    "FEATURES": check_features,
    "warped": check_shape("warped", (2, 28, 28, 1)),
    "predictions": check_shape("predictions", (2,)),
    "crops": check_shape("crops", (1, 14, 14, 1)),
}
"""What the blocks without a file have to come to, by a name that they define."""
SHORT = [
    block
    for path in pages.PAGES
    for block in pages.python_blocks(path)
    # Tests of inference run those of runs and exports.
    if block not in RECIPES.values() and "runs/" not in block and path.name != "export.md"
]


@pytest.mark.parametrize("block", SHORT)
def test_the_short_recipes_run(block):
    found = {}
    exec(block, found)
    names = CHECKS.keys() & found.keys()
    assert names
    for name in names:
        CHECKS[name](found)


def test_a_routing_is_added_as_the_guide_says(tmp_path):
    import jax.numpy as jnp
    from flax import nnx

    file = tmp_path / "length_routing.py"
    file.write_text(RECIPES[file.name])
    override = "--config.model.routing.sharpness=3"
    name, experiment, _, code = configs.parse_flags(["train.py", f"--config={file}:2", override])
    assert (name, code) == ("length_routing.py:2", str(file))
    experiment.check()
    routing = experiment.model.routing
    assert (type(routing).__name__, routing.sharpness) == ("LengthRouting", 3.0)
    layer = capsnet.DenseCapsules(12, 8, 10, 16, routing=routing, rngs=nnx.Rngs(0))
    assert layer(jnp.zeros((2, 12, 8))).poses.shape == (2, 10, 16)


@pytest.mark.slow
def test_a_model_and_an_evaluation_are_added_as_the_guides_say(command, tmp_path):
    checkout = tmp_path / "checkout"
    for path in ROOT.glob("*/__init__.py"):
        room = path.parent.name
        if room not in ("tests", "benchmarks"):
            shutil.copytree(ROOT / room, checkout / room)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, checkout)
    assert set(RECIPES) == {
        "small_cnn.py",
        "length_routing.py",
        "evaluation/suites/negative.py",
        "mymodule.py",
    }
    assert len([line for line in RECIPES["mymodule.py"].splitlines() if line]) < 15
    own = tmp_path / "own" / "small_cnn.py"
    own.parent.mkdir()
    for name, content in RECIPES.items():
        path = own if name == own.name else pathlib.Path(checkout / name)
        path.write_text(content)
    small = [flag for flag in QUICK if ".model." not in flag and "--config=" not in flag]
    run = tmp_path / "run"
    train = command(
        checkout / "train.py", f"--config={own}", *small, f"--workdir={run}", check=True
    )
    assert "small_cnn.py: clean accuracy" in train.stdout
    assert train.stdout.splitlines()[-3:] == [
        f"  python evaluate.py {run} --code {own}",
        f"  python predict.py {run} IMAGE --code {own}",
        f"  python export.py {run} FOLDER --code {own}",
    ]
    assert "add --code path/to/small_cnn.py" in command(checkout / "evaluate.py", run).stderr
    out = tmp_path / "report"
    arguments = (
        run,
        f"--code={own}",
        "--model=mymodule:create",
        "--suites=clean,negative",
        f"--out={out}",
    )
    evaluated = command(checkout / "evaluate.py", *arguments, check=True)
    assert "run: negative took" in evaluated.stderr + evaluated.stdout
    negative = json.loads((out / "records/run/last/negative.json").read_text())["results"]
    assert [result["strength"] for result in negative] == [0.0, 0.25, 0.5, 0.75, 1.0]
    nearest = json.loads((out / "records/mymodule_create/last/clean.json").read_text())
    # Of all 10,000 test images, as `--data` is plain MNIST.
    assert nearest["results"][0]["value"] == pytest.approx(0.8206)
    assert (out / "report.html").stat().st_size > 1000
    again = command(checkout / "evaluate.py", *arguments, check=True)
    assert "took" not in again.stderr + again.stdout


def test_the_citation_names_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert {"message", "title", "abstract", "authors", "type"} <= citation.keys()


def test_the_changelog_has_a_section_for_what_is_not_released():
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
