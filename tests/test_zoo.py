"""Models of the project's own are what their cards say, a command away."""

import json

import numpy as np
import PIL.Image
import pytest

from data.sources import idx
from data.sources.bundled_mnist import CHECKSUMS, FOLDER
from evaluation.results.provenance import checksum
from evaluation.results.schema import results_from_json
from tests.conftest import ROOT
from training.setup import predictor_of
from training.trained import read_run

MODELS = sorted(path.parent.name for path in (ROOT / "zoo").glob("*/config.json"))
COUNT = 256


@pytest.fixture(scope="module")
def digits():
    images, labels = idx.read_split(FOLDER, "test", CHECKSUMS)
    return images[:COUNT], labels[:COUNT]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_does_what_its_record_says(name, digits):
    images, labels = digits
    (clean,) = results_from_json(json.loads((ROOT / "zoo" / name / "record.json").read_text()))
    assert (clean.suite, clean.count) == ("clean", 10_000)
    run = read_run(f"zoo:{name}")
    logits = predictor_of(run.program, run.state)(images / np.float32(255))
    right = np.mean(logits.argmax(axis=1) == labels)
    # The first images are a fortieth of those of the record.
    deviation = np.sqrt(clean.value * (1.0 - clean.value) / COUNT)
    assert abs(right - clean.value) < 4.0 * deviation
    config = json.loads((ROOT / "zoo" / name / "config.json").read_text())
    assert f"{checksum(run.state.evaluated_params):08x}" == config["weights"]
    card = (ROOT / "zoo" / name / "README.md").read_text(encoding="utf-8")
    assert config["weights"] in card


def test_the_models_are_small():
    files = [file for file in (ROOT / "zoo").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 9e6
    assert {file.suffix for file in files} == {".json", ".md", ".safetensors"}


def test_a_digit_is_named_by_a_model_of_the_zoo(command, digits, tmp_path):
    images, labels = digits
    PIL.Image.fromarray(images[0, ..., 0]).save(tmp_path / "digit.png")
    said = command("predict.py", "zoo:cnn_max_blur3", tmp_path / "digit.png", check=True).stdout
    assert f"digit.png: {labels[0]} (" in said
    wrong = command("predict.py", "zoo:nothing", tmp_path / "digit.png")
    assert wrong.stderr.splitlines()[-1] == (
        f"error: RUN=zoo:nothing is not in the zoo, which has {', '.join(MODELS)}"
    )
