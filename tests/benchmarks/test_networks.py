import json
from importlib.util import find_spec

import pytest

from benchmarks import networks, programs
from capsnet.networks.sabour import CapsNetConfig
from cnn import ConvolutionalNetworkConfig
from cnn.decoder import DenseDecoder
from stn.networks.mnist import TransformerNetworkConfig

SMALL = {
    "capsnet": (
        CapsNetConfig(convolution_channels=8, primary_types=2, decoder=DenseDecoder((8, 8))),
        (28, 28, 1),
    ),
    "st_cnn": (TransformerNetworkConfig("cnn", pooling=True, parameters=60_000), (42, 42, 1)),
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(networks, "NETWORKS", SMALL)
    monkeypatch.setattr(networks, "BATCH", 4)
    machine = {"flops_per_second": 1e15, "bytes_per_second": 1e15}
    monkeypatch.setattr(networks, "measure_machine", lambda rounds: machine)


@pytest.mark.slow
def test_it_prints_a_table_and_writes_the_figures(small, tmp_path, capsys):
    path = tmp_path / "networks.json"
    networks.main(["--rounds=1", f"--json={path}"])
    assert "| `capsnet` | training  |" in capsys.readouterr().out
    record = json.loads(path.read_text())
    assert [result["network"] for result in record["results"]] == list(SMALL)
    assert record["machine"] == {"flops_per_second": 1e15, "bytes_per_second": 1e15}
    for result in record["results"]:
        for task in networks.TASKS:
            assert 0 < result["floors_ms"][task] < result["times"][task]["ours"]["minimum_ms"]
        for task in networks.TASKS:
            for taken in result["times"][task].values():
                assert 0 < taken["minimum_ms"] <= taken["median_ms"]
            ways = ["ours", *(["channels last", "contiguous"] * bool(find_spec("torch")))]
            if result["network"] in networks.REDUCED:
                ways += [f"{way}, bfloat16" for way in ways]
            assert set(result["times"][task]) == set(ways)


def test_a_training_step_trains(small):
    train = networks.our_contenders(*SMALL["capsnet"])["training"]
    losses = [float(train()[-1]) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_every_step_draws_masks_of_its_own():
    config = ConvolutionalNetworkConfig(channels=(2,), pooling=("max2",), dense=(4,))
    training = programs.make_programs(config, *programs.make_batch(2, (8, 8, 1)), 3)["training"]
    _, other, *_ = training.function(training.argument, training.batch)
    assert other["dropout"]["rngs"]["count"][...] == 3


def test_an_unknown_network_is_named(capsys):
    with pytest.raises(SystemExit):
        networks.main(["capsnett"])
    assert "'capsnett': choose from capsnet, " in capsys.readouterr().err


def test_a_folder_that_is_no_checkout_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        networks.main(["capsnet", f"--xifeng_guo={tmp_path}"])
    assert f"--xifeng_guo: {tmp_path}: no capsulenet.py there" in capsys.readouterr().err
