"""Two steps on images of two digits, from the configuration to the record."""

import json

import numpy as np
import pytest

import capsnet
from cnn import ConvolutionalNetworkConfig
from cnn.networks.multi_label import MultiLabelNetworkConfig
from common.errors import UserError
from data.sources.load import DatasetConfig
from data.tasks.multimnist import MultiMNISTConfig
from inference.restore import restore_run
from training.experiment import Experiment
from training.loop import run

SOURCE = DatasetConfig(train="train[:40]", validation="train[40:60]", test="test[:20]", shift=0)
MODELS = {
    "capsnet": capsnet.CapsNetConfig(2, 9, 2, 2, class_dim=2, decoder_widths=(4,)),
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


@pytest.mark.parametrize("name", ["capsnet", "cnn"])
def test_two_steps_and_their_record(name, data_dir, tmp_path):
    record = run(experiment(name), name=name, workdir=str(tmp_path), data_dir=data_dir)
    found = {(result["suite"], result["metric"]["name"]): result for result in record["results"]}
    exact = found["clean", "exact match"]
    half = found["clean", "digit accuracy (half credit)"]
    assert exact["value"] <= half["value"] <= (1.0 + exact["value"]) / 2.0
    assert exact["chance"] == pytest.approx(1 / 45)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    reconstructs = name == "capsnet"
    assert (("overlaps", "separated objects") in found) == reconstructs
    assert any("separated" in each for each in names) == reconstructs
    drawn = {path.name for path in (tmp_path / "figures").glob("*")}
    assert drawn == ({"couplings_000002.png", "overlaps_000002.png"} if reconstructs else set())
    # What was validated while training is what the restored network predicts.
    restored = restore_run(tmp_path, data_dir=data_dir)
    validation = restored.setup.dataset.validation
    logits = restored.predictor(validation.images / np.float32(255.0))
    largest = np.sort(np.argsort(-logits, axis=1, kind="stable")[:, :2], axis=1)
    right = np.all(largest == np.sort(validation.labels, axis=1), axis=1)
    (accuracy,) = (line["accuracy"] for line in lines if line.get("split") == "validation")
    assert accuracy == pytest.approx(right.mean())


def test_a_network_of_one_label_says_why_it_cannot_learn(data_dir, tmp_path):
    with pytest.raises(
        UserError, match=r"cannot learn from these images: labels of shape \(8, 2\)"
    ):
        run(experiment("one label"), name="cnn", workdir=str(tmp_path), data_dir=data_dir)
