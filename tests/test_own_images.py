"""One's own images through the commands: odd sizes, in colour, of unbalanced classes."""

import json

import numpy as np
import PIL.Image
import pytest

from tests.test_commands import assert_one_line

COUNTS = {"Käfer": 40, "bird": 10}
SIZES = ((23, 19), (23, 19), (31, 40))  # height and width
SMALL = ["--config.batch_size=8", "--config.steps=3", "--config.dataset.shift=1"]
NETWORKS = {
    "cnn_mnist": ["--config.model.channels=(2,2)", "--config.model.dense=(4,)"],
    "capsnet_mnist_tiny": [
        "--config.model.convolution_channels=2",
        "--config.model.primary_types=1",
    ],
    "mnist:st_cnn": ["--config.model.parameters=8000"],
}


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


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_is_trained_on_a_folder_of_images(command, tmp_path, beetles, name):
    arguments = [f"--config={name}", f"--config.dataset.name=folder:{beetles}", *SMALL]
    run = tmp_path / "run"
    finished = command("train.py", *arguments, *NETWORKS[name], f"--workdir={run}", check=True)
    lines = finished.stdout.splitlines()
    assert (
        f"{name}: images of 2 sizes are brought to 23x19 (height x width), which "
        "--config.dataset.size sets"
    ) in lines
    assert (
        f"{name}: classes are unbalanced: 28 training images of Käfer, 7 of bird; see balanced "
        "accuracy"
    ) in lines
    assert lines[-1] == f"{name}: in {run}; evaluate by python evaluate.py {run}"
    record = json.loads((run / "record.json").read_text())
    assert (record["dataset"], record["classes"]) == ("folder:beetles", ["Käfer", "bird"])
    names = [result["metric"]["name"] for result in record["results"]]
    assert names[0] == "accuracy"


def test_a_folder_of_fewer_images_than_a_batch(command, tmp_path, beetles):
    asked = ["--config=cnn_mnist", f"--config.dataset.name=folder:{beetles}"]
    finished = command("train.py", *asked, f"--workdir={tmp_path / 'run'}")
    assert_one_line(finished, "batch_size=128 is more than the 35 training images of folder:beetl")
