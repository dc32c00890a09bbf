"""Two steps on images of two digits, from the configuration to the record."""

import json

import numpy as np
import pytest

import capsnet
from cnn import ConvolutionalNetworkConfig
from cnn.decoder import DenseDecoder
from cnn.networks.multi_label import MultiLabelNetworkConfig
from common.errors import UserError
from data.sources.load import DatasetConfig
from data.tasks.multimnist import MultiMNISTConfig
from inference.restore import restore_run
from training.experiment import Experiment
from training.loop import run

SOURCE = DatasetConfig(train="train[:40]", validation="train[40:60]", test="test[:20]", shift=0)
MODELS = {
    "capsnet": capsnet.CapsNetConfig(2, 9, 2, 2, class_dim=2, decoder=DenseDecoder((4,))),
    "cnn": MultiLabelNetworkConfig(
        ConvolutionalNetworkConfig((2,), (5,), "SAME", ("max2",), (4,), dropout=0.0)
    ),
    "one label": ConvolutionalNetworkConfig((2,), 5, "SAME", ("max2",), (4,)),
}


def experiment(name):
    return Experiment(
        model=MODELS[name],
        steps=2,
        batch_size=8,
        dataset=MultiMNISTConfig(source=SOURCE),
        validate_every=2,
        log_every=1,
        evaluation_batch_size=20,
        suites=("clean", "overlaps", "confusions"),
        monitors=("couplings", "overlaps", "reconstructions"),
    )


def train(name, data_dir, tmp_path):
    """The results by suite and metric, and the lines of metrics."""
    record = run(experiment(name), name=name, workdir=str(tmp_path), data_dir=data_dir)
    found = {(result["suite"], result["metric"]["name"]): result for result in record["results"]}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    return found, lines


def test_a_capsule_network_predicts_and_reconstructs_both_digits(data_dir, tmp_path):
    found, lines = train("capsnet", data_dir, tmp_path)
    exact = found["clean", "exact match"]
    half = found["clean", "digit accuracy (half credit)"]
    assert exact["value"] <= half["value"] <= (1.0 + exact["value"]) / 2.0
    assert exact["chance"] == pytest.approx(1 / 45)
    assert {suite for suite, _ in found} == {"clean", "overlaps"}
    assert "separated" in lines[-1]
    drawn = {path.name for path in (tmp_path / "figures").glob("*")}
    assert drawn == {"couplings_000002.png", "overlaps_000002.png"}


def test_the_validation_accuracy_of_a_cnn_is_its_exact_match(data_dir, tmp_path):
    found, lines = train("cnn", data_dir, tmp_path)
    assert {suite for suite, _ in found} == {"clean"}
    restored = restore_run(tmp_path, data_dir=data_dir)
    validation = restored.setup.dataset.validation
    logits = restored.predictor(validation.images / np.float32(255.0))
    largest = np.sort(np.argsort(-logits, axis=1, kind="stable")[:, :2], axis=1)
    right = np.all(largest == np.sort(validation.labels, axis=1), axis=1)
    (accuracy,) = (line["accuracy"] for line in lines if line["split"] == "validation")
    assert accuracy == pytest.approx(right.mean())


def test_a_network_of_one_label_says_why_it_cannot_learn(data_dir, tmp_path):
    with pytest.raises(
        UserError, match=r"cannot learn from these images: labels of shape \(8, 2\)"
    ):
        run(experiment("one label"), name="cnn", workdir=str(tmp_path), data_dir=data_dir)
