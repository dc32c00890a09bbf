"""Configurations that vary what a network is trained on, and nothing else."""

import dataclasses

import pytest

import configs
from common.errors import UserError
from configs.augmentation import AUGMENTATIONS
from data.sources.load import DatasetConfig


@pytest.mark.parametrize("network", ["capsnet", "st_cnn", "cnn"])
def test_a_learning_curve_ends_in_the_standard_run(network):
    standard = configs.load(f"mnist:{network}")
    everything = configs.load(f"few_examples:{network},55000")
    assert everything.dataset == DatasetConfig(train_images=55000)
    assert dataclasses.replace(everything, dataset=DatasetConfig()) == standard


@pytest.mark.parametrize("count", [100, 300, 1000, 10000])
def test_every_number_of_images_has_the_same_steps(count):
    few, standard = configs.load(f"few_examples:cnn,{count}"), configs.load("mnist:cnn")
    assert few.dataset == DatasetConfig(train_images=count)
    assert few.batch_size == min(count, 128)
    assert dataclasses.replace(few, dataset=DatasetConfig(), batch_size=128) == standard


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmentations_differ_in_the_images_alone(augmentation):
    experiment = configs.load(f"augmentation:cnn,{augmentation}")
    assert dataclasses.replace(experiment, dataset=DatasetConfig()) == configs.load("mnist:cnn")
    distortion = experiment.dataset.distortion
    changes = {
        "shift": experiment.dataset.shift != 0,
        "rotation": distortion is not None and distortion.rotation != 0.0,
        "scale": distortion is not None and distortion.smallest_scale < 1.0,
        "shear": distortion is not None and distortion.shear != 0.0,
    }
    expected = {name: augmentation in (name, "all") for name in changes}
    assert changes == expected


def test_affnist_differs_in_the_images_alone():
    experiment = configs.load("affnist:st_cnn")
    assert experiment.dataset == DatasetConfig(pad=6, shift=6)
    assert dataclasses.replace(experiment, dataset=DatasetConfig()) == configs.load("mnist:st_cnn")


def test_phases_differ_in_the_images_alone():
    for name, phases in (("phases:4", 4), ("phases:max2,16", 16)):
        experiment = configs.load(name)
        assert experiment.dataset == DatasetConfig(shift=0, phases=phases)
        plain = dataclasses.replace(experiment, dataset=DatasetConfig())
        assert plain == configs.load("cnn_pooling:max2")
    assert configs.load("phases:blur3,1").model == configs.load("cnn_pooling:blur3").model


def test_arms_of_rotated_mnist_differ_in_the_network_alone():
    group = configs.load("rotated_mnist:p4cnn")
    for arm, channels in (("z2cnn_plain", 20), ("z2cnn_wide", 40)):
        control = configs.load(f"rotated_mnist:{arm}")
        assert dataclasses.replace(control, model=group.model) == group
        assert dataclasses.replace(control.model, group="p4", channels=10) == group.model
        assert control.model.channels == channels
    published = configs.load("rotated_mnist:p4cnn,published")
    assert dataclasses.replace(published, dataset=group.dataset) == group


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("few_examples:capsule,100", "'capsule' is not one of capsnet, st_cnn"),
        ("few_examples:cnn", "name a network and a number of images"),
        ("few_examples:cnn,0", "name a network and a number of images"),
        ("affnist:capsule", "'capsule' is not one of capsnet, st_cnn"),
        ("affnist:slim", "'slim' is not one of .*, p4cnn, cnn_slim, capsnet_slim, affine"),
        ("augmentation:cnn,turn", "one of none, shift, rotation"),
        ("augmentation:capsule,shift", "'capsule' is not one of capsnet, st_cnn"),
        ("phases:max2", "name a number of phases"),
        ("phases:max9,4", "'max9' is not one of max2"),
        ("rotated_mnist:p5cnn", "'p5cnn' is not one of p4cnn, z2cnn"),
        ("rotated_mnist:p4cnn,old", "'old' is not one of published"),
    ],
)
def test_unknown_arguments_are_named(name, message):
    with pytest.raises(UserError, match=message):
        configs.load(name)
