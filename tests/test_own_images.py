"""One's own images through the commands: odd sizes, in colour, of unbalanced classes."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest

from data.distortions import AffineDistortion, Placement
from data.sources.load import DatasetConfig
from data.tasks.addition import AdditionConfig
from data.tasks.distorted import DistortedConfig
from inference.subjects import train_images
from tests.configs.test_command_line import parsed
from tests.conftest import ROOT
from tests.test_commands import assert_one_line
from training import setup

COUNTS = {"Käfer": 40, "bird": 10}
SIZES = ((33, 29), (33, 29), (31, 40))  # height and width
SMALL = ["--config.batch_size=8", "--config.steps=3", "--config.dataset.shift=1"]
NETWORKS = {
    "cnn_mnist": ["--config.model.channels=(2,2)", "--config.model.dense=(4,)"],
    "capsnet_mnist_tiny": [
        "--config.model.convolution_channels=2",
        "--config.model.primary_types=1",
    ],
    "mnist:st_cnn": ["--config.model.parameters=8000"],
}


def flags_of(name, folder):
    return [f"--config={name}", f"--config.dataset.name=folder:{folder}", *SMALL, *NETWORKS[name]]


@pytest.fixture(scope="module")
def beetles(tmp_path_factory):
    root = tmp_path_factory.mktemp("images") / "beetles"
    random = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            levels = random.integers(0, 256, (*SIZES[k % 3], 3), np.uint8)
            PIL.Image.fromarray(levels).save(root / name / f"{k}.jpg")
    return root


def test_a_network_is_trained_on_a_folder_of_images(command, tmp_path, beetles):
    run = tmp_path / "run"
    arguments = [*flags_of("cnn_mnist", beetles), f"--workdir={run}"]
    lines = command("train.py", *arguments, check=True).stdout.splitlines()
    assert (
        "cnn_mnist: images of 2 sizes are brought to 33x29 (height x width), which "
        "--config.dataset.size sets"
    ) in lines
    assert (
        "cnn_mnist: classes are unbalanced: 28 training images of Käfer, 7 of bird; see balanced "
        "accuracy, and --config.dataset.balanced=True draws all as often"
    ) in lines
    assert lines[-4:] == [
        f"cnn_mnist: in {run}; next, for example:",
        f"  python evaluate.py {run}",
        f"  python predict.py {run} IMAGE",
        f"  python export.py {run} FOLDER",
    ]
    record = json.loads((run / "record.json").read_text())
    page = (ROOT / "docs" / "runs.md").read_text()
    for path in run.iterdir():
        assert f"\n| `{path.name}{'/' * path.is_dir()}` | " in page
    assert (record["dataset"], record["classes"]) == ("folder:beetles", ["Käfer", "bird"])


@pytest.mark.parametrize("name", ["capsnet_mnist_tiny", "mnist:st_cnn"])
def test_other_networks_take_its_sizes_channels_and_classes(beetles, name):
    experiment = parsed(*flags_of(name, beetles)).experiment
    prepared = setup.prepare(experiment, None)
    dataset, program = prepared.dataset, prepared.program
    assert (dataset.image_shape, dataset.num_classes) == ((33, 29, 3), 2)
    state = jax.eval_shape(program.create_state)
    _, history = jax.eval_shape(program.train_steps, state, prepared.training_split(), np.int32(2))
    assert "loss" in history
    images = dataset.test.images / np.float32(255.0)
    found = program.outputs.eval_shape(state.params, state.other, images, ("logits",))
    assert found["logits"].shape == (10, 2)


def test_a_folder_of_fewer_images_than_a_batch(command, tmp_path, beetles):
    asked = ["--config=cnn_mnist", f"--config.dataset.name=folder:{beetles}"]
    finished = command("train.py", *asked, f"--workdir={tmp_path / 'run'}")
    assert_one_line(finished, "batch_size=128 is more than the 35 training images of folder:beetl")


def test_names_of_classes_stay_where_images_are_rendered_as_they_are(beetles):
    source = DatasetConfig(name=f"folder:{beetles}", size=12, channels=1, shift=0)
    config = DistortedConfig("placed", Placement(), canvas=14, source=source)
    placed = config.load(None)
    assert placed.class_names == ("Käfer", "bird")
    assert placed.image_shape == (14, 14, 1)
    assert placed.is_unbalanced
    assert placed.imbalance.endswith("; see balanced accuracy")  # `balanced` is none of its fields
    experiment = dataclasses.replace(parsed("--config=cnn_mnist").experiment, dataset=config)
    assert train_images(experiment, placed) is None  # they never repeat
    sums = AdditionConfig(canvas=14, distortion=AffineDistortion(rotation=0.0), source=source)
    added = sums.load(None)
    assert (added.class_names, added.is_unbalanced) == ((), False)
