"""The README's commands, table and recipes are what the project does."""

import json
import pathlib
import re
import shutil

import pytest

from benchmarks import networks, routing, scaling
from data.batches import DeviceSplit
from evaluation.comparison.learning_curves import summarise_learning_curves
from evaluation.reports.markdown import summarise_headlines, summarise_shifts
from evaluation.reports.trainings import summarise, summarise_budgets
from tests.conftest import ROOT
from tests.test_commands import QUICK

README = (ROOT / "README.md").read_text()


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"Run the tests:\n\n    (.+)\n", README)
    assert command == "pip install -e '.[test]' && pytest -n 2"
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    assert command in lines


def test_every_config_is_in_the_readme():
    for path in (ROOT / "configs").glob("[a-z]*.py"):
        assert f"`{path.stem}`" in README, path.stem


def test_every_room_is_in_the_readme():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"results"}
    for room in rooms:
        assert f"`{room}/`" in README, room


def table(name):
    """What stands between a table's two marks."""
    return README.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]


def test_the_tables_are_those_of_the_records():
    assert table("results") == summarise(ROOT / "results")
    assert table("transformers") == summarise_budgets(ROOT / "results" / "transformers")
    for benchmark in (networks, routing, scaling):
        name = benchmark.__name__.rpartition(".")[2]
        record = json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text())
        assert table(name) == benchmark.make_table(record["results"])


def test_the_robustness_tables_are_those_of_the_records():
    suites = ("clean", "rotation", "translation", "scale", "shear", "affine", "perspective")
    suites += ("elastic", "spatial_adversary")
    assert table("robustness") == summarise_headlines(ROOT / "results" / "robustness", suites)
    assert table("clean") == summarise_headlines(ROOT / "results" / "clean", ("clean", "affine"))
    matched = summarise_headlines(ROOT / "results" / "matched", ("clean", "affine"))
    assert table("matched") == matched
    assert table("cost") == summarise_headlines(ROOT / "results" / "cost")


def test_the_tables_of_faces_are_those_of_the_records():
    metrics = ("accuracy", "fooled rate", "AUROC")
    assert table("faces") == summarise_headlines(ROOT / "results" / "faces", metrics=metrics)


def test_the_tables_of_shifts_adversaries_and_pose_are_those_of_the_records():
    assert table("pooling") == summarise_shifts(ROOT / "results" / "pooling")
    depth_and_stride = summarise_shifts(ROOT / "results" / "depth_and_stride")
    assert table("depth_and_stride") == depth_and_stride
    assert table("small_shifts") == summarise_shifts(ROOT / "results" / "robustness")
    metrics = ("robust accuracy", "fooled into the target class", "false alarm rate")
    metrics += ("detected by reconstruction", "fooled and undetected")
    adversarial = summarise_headlines(ROOT / "results" / "adversarial", metrics=metrics)
    assert table("adversarial") == adversarial
    pose = summarise_headlines(ROOT / "results" / "pose", metrics=("R2 within classes",))
    assert table("pose") == pose


def test_the_table_of_few_examples_is_that_of_the_records():
    folder = ROOT / "results" / "few_examples"
    assert table("few_examples") == summarise_learning_curves(folder)


def test_the_pictures_exist():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README, flags=re.DOTALL):
        assert (ROOT / path).is_file(), path


def recipes():
    """The code blocks that name a file in their first line, by that name."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    named = (re.match(r"# (\S+\.py)\n", block) for block in blocks)
    return {
        match[1]: block for match, block in zip(named, blocks, strict=True) if match is not None
    }


def blocks_without_a_file():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    return [block for block in blocks if not block.startswith("# ")]


@pytest.mark.parametrize("block", blocks_without_a_file())
def test_the_short_recipes_run(block):
    namespace = {}
    exec(block, namespace)
    if "class_capsules" in namespace:
        import jax.numpy as jnp
        from flax import nnx

        routed = namespace["class_capsules"](nnx.Rngs(0))(jnp.zeros((2, 1152, 8)))
        assert routed.poses.shape == (2, 10, 16)
    elif "warped" in namespace:
        assert namespace["warped"].images.shape == (2, 28, 28, 1)
    elif "task" in namespace:
        import jax

        images = DeviceSplit(jax.numpy.ones((2, 28, 28, 1), "uint8"), jax.numpy.arange(2))
        batch = namespace["task"].generate(jax.random.key(0), images, jax.numpy.arange(2))
        assert batch.images.shape == (2, 40, 40, 1)
    elif "FEATURES" in namespace:
        from data.sources import examples

        assert namespace["FEATURES"].items() <= examples.FEATURES.items()
    else:
        assert namespace["model"] is not None


@pytest.mark.slow
def test_a_model_and_an_evaluation_are_added_as_the_readme_says(command, tmp_path):
    checkout = tmp_path / "checkout"
    rooms = (
        "capsnet",
        "cnn",
        "common",
        "configs",
        "data",
        "evaluation",
        "inference",
        "stn",
        "training",
    )
    for room in rooms:
        shutil.copytree(ROOT / room, checkout / room)
    for script in ("train.py", "evaluate.py"):
        shutil.copy(ROOT / script, checkout)
    files = recipes()
    assert set(files) == {
        "linear/__init__.py",
        "configs/linear_mnist.py",
        "evaluation/suites/negative.py",
        "mymodule.py",
    }
    assert len([line for line in files["mymodule.py"].splitlines() if line]) < 15
    for name, content in files.items():
        path = pathlib.Path(checkout / name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    small = [flag for flag in QUICK if ".model." not in flag and "--config=" not in flag]
    run = tmp_path / "run"
    train = command(
        checkout / "train.py", "--config=linear_mnist", *small, f"--workdir={run}", check=True
    )
    assert "linear_mnist: clean accuracy" in train.stdout
    out = tmp_path / "report"
    arguments = (run, "--model=mymodule:create", "--suites=clean,negative", f"--out={out}")
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
