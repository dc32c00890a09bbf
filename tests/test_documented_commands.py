"""Every command that the pages show does what it says there, at a reduced size.

Trainings take two steps on a few images, into a folder of this module's; evaluations, predictions
and exports are of these runs. Where a dataset is not at hand, the command has to say so in one line
that names it.
"""

import fnmatch
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

import configs
from configs._catalogue import Chosen
from tests.conftest import ROOT
from tests.test_readme import COMMANDS, RECIPES, has

pytestmark = pytest.mark.exhaustive

SCRIPTS = {
    script: [line for line in COMMANDS if line.startswith(f"python {script} ")]
    for script in ("train.py", "evaluate.py", "predict.py", "export.py", "study.py", "-m")
}
# Datasets that nobody has without fetching them.
ABSENT = (
    *("affnist", "caltech_birds2011", "celeb_a", "fashion_mnist", "lfw", "mnist_rotation_new"),
    *("smallnorb", "svhn_cropped"),
)
SMALL = {"steps": 2, "batch_size": 2, "validate_every": 2, "checkpoint_every": 2, "suites": "()"}
# What is so large where it is given at all.
IMAGES = {"train_images": 20, "validation_images": 10, "test_images": 10, "images": 10, "toys": 1}
SPLITS = {"train": "train[:400]", "validation": "train[400:450]", "test": "test[:20]"}
MODELS = 2
"""Of those that a pattern stands for, those that are evaluated."""


def of_others(line):
    """Files of a guide or of a user stand in it, which other tests make."""
    named = ("path/to/", "folder:", "mymodule", "negative", *RECIPES)
    return any(name in line for name in named) or line.endswith(("list", "--help"))


def name_of(line):
    return re.search(r"--config[= ](\S+)", line)[1]


def folder_of(line):
    """Where a training leaves its run, of its first seed."""
    given = re.search(r"--workdir[= ](\S+)", line)
    name = name_of(line)
    folder = given[1] if given else Chosen(name, configs.load(name), "").workdir
    return f"{folder}_seed0" if "--seeds" in line else folder


TRAININGS = [line for line in SCRIPTS["train.py"] if not of_others(line)]


def reduced(line):
    """Overrides by which a training takes seconds."""
    experiment = configs.load(name_of(line))
    changes = dict(SMALL)
    for holder in ("dataset", "dataset.source"):
        if not has(experiment, holder.split(".")):
            continue
        dataset = experiment.dataset if holder == "dataset" else experiment.dataset.source
        changes |= {f"{holder}.{k}": v for k, v in IMAGES.items() if getattr(dataset, k, 0)}
        if getattr(dataset, "name", None) == "mnist" and hasattr(dataset, "train"):
            changes |= {f"{holder}.{k}": v for k, v in SPLITS.items()}
    return [f"--config.{path}={value}" for path, value in changes.items()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where runs, reports and images of the pages are."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def train(command):
    """Trains as a line says, its first seed; returns the finished process."""

    def train(line, folder):
        words = [word for word in shlex.split(line)[2:] if not word.startswith("--workdir")]
        words = [word for word in words if not word.startswith("runs/")]
        seeds = ["--seeds=0"] if "--seeds" in line else []
        words = re.sub(r" --seeds[= ]\S+", "", shlex.join(words))
        workdir = str(folder).removesuffix("_seed0" if seeds else "")
        flags = [*reduced(line), *seeds, f"--workdir={workdir}"]
        return command("train.py", *shlex.split(words), *flags)

    return train


def is_absent(process):
    """True if a command ended in one line that names a dataset which is not there."""
    last = process.stderr.strip().splitlines()[-1]
    return last.startswith("error: ") and any(name in last for name in ABSENT)


@pytest.mark.parametrize("line", TRAININGS)
def test_trainings(train, line, tmp_path):
    finished = train(line, tmp_path / pathlib.Path(folder_of(line)).name)
    if finished.returncode:
        assert is_absent(finished), finished.stderr


@pytest.fixture
def runs(train, place):
    """Makes some of the runs that a word of a command stands for; returns their folders."""

    def runs(pattern):
        made: list[pathlib.Path] = []
        # Those of plain CNNs first, which take the least time to evaluate.
        for line in sorted(TRAININGS, key=lambda line: "cnn" not in name_of(line)):
            folder = place / folder_of(line)
            wanted = fnmatch.fnmatch(folder_of(line), pattern) and len(made) < MODELS
            if wanted and folder not in made:
                if not (folder / "record.json").exists():
                    train(line, folder)
                made += [folder] if (folder / "record.json").exists() else []
        return list(map(str, made))

    return runs


@pytest.fixture
def placed(runs, place):
    """The words of a command with runs, reports and images where they are here."""
    (place / "digits").mkdir(exist_ok=True)
    for name in ("seven.png", "two.jpg", "digits/0.png", "digits/1.png"):
        PIL.Image.fromarray(np.full((28, 28), 99, np.uint8)).save(place / name)

    def replace(word):
        if word.startswith("runs/"):
            return runs(word)
        if "*" in word:
            return sorted(map(str, place.glob(word)))
        there = word.startswith(("reports/", "exported/")) or word.endswith((".png", ".jpg"))
        return [str(place / word) if there else word]

    def placed(words):
        return [new for word in words for new in replace(word)]

    return placed


EVALUATIONS = [line for line in SCRIPTS["evaluate.py"] if not of_others(line)]


@pytest.mark.parametrize("line", EVALUATIONS)
def test_evaluations(command, placed, line):
    words = placed(shlex.split(line)[2:])
    if not any("/runs/" in word or word.startswith("zoo:") for word in words):
        assert any(name in line for name in ABSENT), line  # whose runs there are none of
        return
    finished = command("evaluate.py", *words, "--limit=8")
    last = finished.stderr.strip().splitlines()[-1]
    if "--match_accuracy" in line:  # which two steps do not reach
        assert re.match("error: .*no checkpoint here", last), last
    elif "--control" in line:  # it is named with what is reduced of it
        assert re.match(r"error: --control=\S+: is none of the models", last), last
    elif finished.returncode:
        assert is_absent(finished), finished.stderr
    else:
        named = re.search(r"--suites[= ](\S+)", line)
        assert "clean, %" in finished.stdout or (named and "clean" not in named[1].split(","))
        assert finished.stdout.strip()


@pytest.mark.parametrize("line", SCRIPTS["predict.py"])
def test_predictions(command, placed, place, line):
    words = placed(shlex.split(line)[2:])
    finished = command("predict.py", *words, check=True)
    images = [word for word in words if word.endswith((".png", ".jpg"))]
    drawn = images.pop() if "--picture" in line else None
    assert all(f"{image}: " in finished.stdout for image in images)
    if drawn:
        with PIL.Image.open(drawn) as picture:
            assert min(picture.size) > 28


@pytest.mark.parametrize("line", SCRIPTS["export.py"])
def test_exports(command, placed, line, tmp_path):
    if "--onnx" in line:
        pytest.importorskip("onnx")
    words = placed(shlex.split(line)[2:])
    finished = command("export.py", words[0], tmp_path / "exported", *words[2:], check=True)
    assert (tmp_path / "exported" / "weights.safetensors").is_file(), finished.stdout


@pytest.mark.parametrize("line", SCRIPTS["study.py"])
def test_studies_are_planned(command, line, tmp_path):
    words = [word for word in shlex.split(line)[2:] if word != "--plan"]
    finished = command("study.py", *words, "--plan", f"--workdir={tmp_path / 'study'}")
    if finished.returncode:
        assert is_absent(finished), finished.stderr
    else:
        assert "list" in words or "| arm" in finished.stdout


# Tests of their own run the others, which take long or serve a page.
MODULES = [
    line
    for line in SCRIPTS["-m"]
    if line.split()[2] in ("configs", "evaluation.reports", "evaluation.reports.trainings")
]


@pytest.mark.parametrize("line", MODULES)
def test_modules(placed, line):
    arguments = [sys.executable, "-W", "ignore", *placed(shlex.split(line)[1:])]
    finished = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout
