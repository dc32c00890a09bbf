import dataclasses

import pytest

import configs
from cnn import count_parameters
from common.errors import UserError
from configs import faces, mnist
from data.faces.photographed import PhotographedFacesConfig
from data.faces.tasks import TASKS


@pytest.mark.parametrize("network", faces.NETWORKS)
def test_every_network_has_the_same_images_and_budget(network):
    experiments = [configs.load(f"faces:{network},{task}") for task in TASKS]
    assert configs.load(f"faces:{network}").dataset.task == "configuration"
    assert [experiment.dataset.task for experiment in experiments] == list(TASKS)
    for experiment in experiments:
        assert experiment.steps * experiment.batch_size == 109_824
        assert experiment.suites == ("clean", "faces")
        assert experiment.optimizer.schedule == configs.load("mnist:cnn").optimizer.schedule


def test_networks_are_those_of_mnist_and_a_control():
    assert configs.load("faces:stn_cnn").model == mnist.MODELS["st_cnn"]()
    assert configs.load("faces") == configs.load("faces:capsnet,configuration")
    bag = configs.load("faces:bag_of_parts").model
    from flax import nnx

    assert count_parameters(lambda: bag.build((32, 32, 1), 6, nnx.Rngs(0))) == 9_798


def test_photographs_have_the_networks_and_the_budget_of_rendered_faces():
    rendered, photographed = (
        configs.load(f"{kind}:capsnet,relation") for kind in ("faces", "photographed_faces")
    )
    assert photographed.dataset == PhotographedFacesConfig("relation", name="lfw")
    assert dataclasses.replace(photographed, dataset=rendered.dataset) == rendered
    assert configs.load("photographed_faces:cnn").optimizer.learning_rate == 1e-3


@pytest.mark.parametrize("kind", ["faces", "photographed_faces"])
def test_folds_hold_out_another_kind_of_scrambles(kind):
    folds = [configs.load(f"{kind}:cnn,relation,fold={k}") for k in range(3)]
    assert [experiment.dataset.fold for experiment in folds] == [0, 1, 2]
    assert folds[0] == configs.load(f"{kind}:cnn,relation")
    for experiment in folds:
        experiment.check()
    changed = dataclasses.replace(folds[1].dataset, fold=0)
    assert dataclasses.replace(folds[1], dataset=changed) == folds[0]
    with pytest.raises(UserError, match=r"dataset.fold=1: .* relation alone, not of presence"):
        configs.load(f"{kind}:cnn,presence,fold=1").check()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faces:capsule", "'capsule' is not one of capsnet, stn_cnn"),
        ("photographed_faces:capsule", "'capsule' is not one of capsnet, stn_cnn"),
        ("faces:cnn,relation,1", "'1' is not one of fold=0, fold=1, fold=2"),
        ("faces:cnn,faces", "'faces' is not one of presence, relation, configuration"),
    ],
)
def test_unknown_arguments_are_named(name, message):
    with pytest.raises(UserError, match=message):
        configs.load(name)
