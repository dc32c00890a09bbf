import dataclasses

import pytest
from flax import nnx

import configs
from cnn.parameter_budget import count_parameters
from common.errors import UserError
from configs import faces, trunk_and_head

SIZES = {"": ((28, 28, 1), 10), ",fold=2": ((32, 32, 1), 2)}


def count(argument):
    shape, num_classes = next(SIZES[words] for words in reversed(SIZES) if words in argument)
    model = configs.load(f"trunk_and_head:{argument}").model
    return count_parameters(lambda: model.build(shape, num_classes, nnx.Rngs(0)))


@pytest.mark.parametrize("trunk", ["", ",slim"])
@pytest.mark.parametrize("images", SIZES)
def test_a_hidden_layer_has_about_the_parameters_of_capsules(trunk, images):
    dense, capsules = (count(f"{head}{trunk}{images}") for head in ("dense", "uniform"))
    assert dense == pytest.approx(capsules, rel=0.01)


@pytest.mark.parametrize("head", trunk_and_head.HEADS)
def test_a_fold_is_that_of_the_faces(head):
    folds = [configs.load(f"trunk_and_head:{head},slim,{fold}") for fold in faces.FOLDS]
    assert [experiment.dataset.fold for experiment in folds] == [0, 1, 2]
    for fold, experiment in zip(faces.FOLDS, folds, strict=True):
        experiment.check()
        other = configs.load(f"faces:cnn,relation,{fold}")
        assert (experiment.dataset, experiment.suites) == (other.dataset, other.suites)
        assert experiment.model.trunk == trunk_and_head.SLIM
        assert dataclasses.replace(experiment, dataset=folds[0].dataset) == folds[0]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("dynamic4", "'dynamic4' is no head; there are dense,"),
        ("dense,slimmer", "'slimmer' is no word for a network; there are slim,"),
        ("dense,fold=3", "'fold=3' is no word for a network"),
        ("dense,affnist,fold=1", "affnist and fold=1 are of different images; choose one"),
        ("dense,fold=0,slim,fold=1", "fold=0 and fold=1 are of different images; choose one"),
    ],
)
def test_what_is_no_network_ends_in_one_line(argument, message):
    with pytest.raises(UserError, match=message):
        configs.load(f"trunk_and_head:{argument}")
