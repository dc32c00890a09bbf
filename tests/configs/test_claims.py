"""Numbers in the docstrings of configurations, counted again."""

import dataclasses
import math
import re

import jax
import pytest
from flax import nnx

from configs import load, multimnist, names, rotated_mnist
from configs._catalogue import documentation
from evaluation.results.pack import read_trainings
from evaluation.results.schema import results_from_json
from tests.conftest import ROOT

_MILLION = 1e6


def parameters(model, image_shape=(28, 28, 1), num_classes=10):
    network = nnx.eval_shape(lambda: model.build(image_shape, num_classes, nnx.Rngs(0)))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))


def number(text, unit):
    return float(text.replace(",", "")) * (_MILLION if unit else 1)


@pytest.mark.parametrize("name", sorted(set(names())))
def test_the_images_of_a_run(name):
    text = " ".join(documentation(name).split())
    claim = re.search(r"Cost: ([\d.,]+)( million)? (images|triplets|volumes)", text)
    if claim is None:
        assert re.search(r"Cost: that of `\w+`", text)
        return
    experiment = load(name)
    seen = experiment.steps * experiment.batch_size
    assert number(claim[1], claim[2]) == pytest.approx(seen, rel=0.025)


@pytest.mark.parametrize(
    "name",
    [
        *("affine_capsnet", "attention_capsnet", "cnn_mnist_9x9", "cnn_mnist_matched"),
        "cnn_mnist_paper",
    ],
)
def test_the_parameters_of_a_network(name):
    counted = parameters(load(name).model)
    assert f"{counted:,} parameters" in " ".join(documentation(name).split())


@pytest.mark.parametrize("network", rotated_mnist.MODELS)
def test_the_parameters_of_networks_of_rotated_mnist(network):
    counted = parameters(rotated_mnist.MODELS[network]())
    assert f"({counted:,}" in documentation("rotated_mnist")


def test_the_parameters_of_capsnet_and_of_its_decoder():
    model = load("capsnet_mnist").model
    whole = parameters(model)
    without = parameters(dataclasses.replace(model, reconstruction_weight=0.0))
    matched = " ".join(documentation("cnn_mnist_matched").split())
    assert f"CapsNet has {whole:,}, but {whole - without:,} of them are a decoder" in matched
    wide = " ".join(documentation("cnn_mnist_9x9").split())
    assert f"CapsNet has {without:,} without its decoder" in wide
    for network in ("cnn_matched", "cnn_decoder"):
        assert parameters(load(f"mnist:{network}").model) == pytest.approx(whole, rel=1e-3)


def test_the_parameters_of_networks_of_overlapping_digits():
    text = " ".join(documentation("multimnist").split())
    for network in multimnist.MODELS:
        experiment = load(f"multimnist:{network}")
        experiment.check()
        assert f"{parameters(experiment.model, (36, 36, 1)):,}" in text


def test_networks_of_400000_parameters():
    for network in ("st_cnn", "cnn_400k", "residual", "compact_transformer"):
        assert parameters(load(f"mnist:{network}").model) == pytest.approx(400_000, rel=0.02)


def test_a_house_number_network_of_17_million_parameters():
    assert "through 17 million parameters" in documentation("stn_svhn")
    assert parameters(load("stn_svhn").model, (32, 32, 3)) == pytest.approx(17e6, rel=0.03)


@pytest.mark.parametrize(
    "name", ["capsnet_mnist", "capsnet_mnist_tiny", "cnn_mnist", "efficient_capsnet_mnist"]
)
def test_accuracies_are_those_of_the_records(name):
    trainings = read_trainings(ROOT / "results" / "single_runs")
    (record,) = (training for training in trainings if training["name"] == name)
    (result,) = results_from_json(record)
    low, high = (100 * limit for limit in result.interval)
    text = documentation(name)
    assert f"{100 * result.value:.2f} % ({low:.2f} to {high:.2f})" in text
    minutes = re.search(r"; (\w+) minutes? on two CPU cores", text)
    words = {"one": 1, "three": 3}
    assert abs(words.get(minutes[1]) or int(minutes[1])) == round(record["train_seconds"] / 60)
