import pytest

import configs
from cnn import count_parameters
from common.errors import UserError
from configs import stn_mnist


def build(experiment, shape, classes=10):
    from flax import nnx

    return lambda: experiment.model.build(shape, classes, nnx.Rngs(0))


@pytest.mark.parametrize("network", stn_mnist.NETWORKS)
def test_every_network_has_its_parameters(network):
    experiment = configs.load(f"stn_mnist:tc,{network}")
    experiment.check()
    assert experiment.dataset.canvas == 60
    assert experiment.model.pooling
    count = count_parameters(build(experiment, (60, 60, 1)))
    assert count == pytest.approx(400_000, rel=0.02)


@pytest.mark.parametrize("task", stn_mnist.TASKS)
def test_every_task_has_its_pooling(task):
    experiment = configs.load(f"stn_mnist:{task}")
    assert experiment.model.pooling == (task in ("rts", "tc", "tu"))
    assert experiment.model.transformers == 1


def test_short_names_are_those_of_the_long_ones():
    assert configs.load("stn_mnist_tc:cnn") == configs.load("stn_mnist:tc,cnn")
    assert (
        configs.load("stn_mnist_rts") == configs.load("stn_mnist") == configs.load("stn_mnist:rts")
    )


def test_the_papers_schedule():
    experiment = configs.load("stn_mnist_paper:r,st_fcn_tps")
    assert (experiment.steps, experiment.batch_size) == (150_000, 256)
    assert experiment.model.transform == "tps"
    rate = experiment.optimizer.schedule.build(experiment.optimizer.learning_rate, 150_000)
    assert float(rate(60_000)) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("argument", "number", "transform"),
    [("", 2, "affine"), ("0", 0, "affine"), ("1,tps", 1, "tps")],
)
def test_addition_takes_a_number_and_a_transform(argument, number, transform):
    experiment = configs.load(f"stn_addition:{argument}" if argument else "stn_addition")
    assert experiment.model.transformers == number
    assert experiment.model.transform == transform
    count = count_parameters(build(experiment, (42, 42, 2), 19))
    assert count == pytest.approx(400_000, rel=0.02)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stn_mnist:rst", "--config=stn_mnist:rst: 'rst' is not one of r, rts, p"),
        ("stn_mnist:rts,st_cnn", "'st_cnn' is not one of fcn, cnn, st_fcn_affine"),
        ("stn_mnist_tc:dense", "'dense' is not one of fcn"),
        ("multimnist:mlp", "'mlp' is not one of capsnet, cnn, capsnet_slim, cnn_slim"),
        ("stn_addition:7", "'7' is not a number of transformers"),
    ],
)
def test_unknown_arguments_are_named(name, message):
    with pytest.raises(UserError, match=message):
        configs.load(name)
