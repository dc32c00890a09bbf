import dataclasses
import json

import pytest

import capsnet
from capsnet.routing import DynamicRouting
from cnn.decoder import DeconvolutionDecoder, DenseDecoder
from cnn.networks.reconstructing import matched
from common.errors import UserError
from training.experiment import Experiment, differences, from_json, in_short, to_json


def test_a_stored_experiment_comes_back_equal():
    experiment = Experiment(model=capsnet.sabour_code(), steps=7, seed=3)
    assert from_json(json.loads(json.dumps(to_json(experiment)))) == experiment


def test_differences_name_fields_by_their_path():
    one = to_json(Experiment(model=capsnet.paper(), steps=7))
    once = capsnet.CapsNetConfig(routing=DynamicRouting(iterations=1))
    other = to_json(Experiment(model=once, steps=8))
    assert differences(one, other) == ["model.routing.iterations: 3 -> 1", "steps: 7 -> 8"]
    assert differences(one, one) == []
    more_memory = Experiment(model=capsnet.paper(), steps=7)
    more_memory.dataset.memory_limit = 100.0
    assert differences(one, to_json(more_memory)) == []
    # A model's own field of that name is another matter.
    assert differences({"model": {"memory_limit": 1}}, {"model": {"memory_limit": 2}}) == [
        "model.memory_limit: 1 -> 2"
    ]


def test_many_differences_are_counted_and_the_name_comes_first():
    found = [f"experiment.field{k}: 0 -> 1" for k in range(7)]
    assert in_short(found[:5]) == "; ".join(found[:5])
    assert in_short([*found, "name: a -> b"]) == (
        "name: a -> b; experiment.field0: 0 -> 1; experiment.field1: 0 -> 1; "
        "experiment.field2: 0 -> 1; experiment.field3: 0 -> 1; and 3 more"
    )


@pytest.mark.parametrize(
    "stored",
    [
        {"type": "capsnet.networks.sabour.Gone"},
        {"type": "gone.Model"},
        {"type": "capsnet.networks.sabour.CapsNetConfig", "gone": 1},
    ],
)
def test_a_type_that_is_gone_is_named(stored):
    with pytest.raises(UserError, match=stored["type"]):
        from_json(stored)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("validate_every", 0),
        ("checkpoint_every", -1),
        ("log_every", 0),
        ("evaluation_batch_size", 0),
        ("ema_decay", 1.0),
        ("seed", -1),
        ("seed", 2**32),
        ("steps", 2**31),
        ("batch_size", 10**12),
        ("ema_decay", -0.1),
        ("ema_decay", float("nan")),
    ],
)
def test_values_that_no_run_can_have(field, value):
    experiment = dataclasses.replace(Experiment(model=capsnet.paper(), steps=5), **{field: value})
    with pytest.raises(UserError, match=f"{field}={value}"):
        experiment.check()


def test_fields_of_older_versions_are_those_of_their_parts():
    stored = to_json(Experiment(model=capsnet.paper(), steps=7))
    del stored["model"]["routing"]
    stored["model"] |= {"iterations": 2, "leaky": True, "stop_gradient": False}
    assert from_json(stored).model.routing == DynamicRouting(iterations=2, leaky=True)
    stored["model"]["iterations"] = "many"
    with pytest.raises(UserError, match=r"model.routing.iterations='many': must be of type int"):
        from_json(stored)


@pytest.mark.parametrize("model", [capsnet.paper(), capsnet.TrunkAndHeadConfig(), matched()])
def test_an_older_decoder_is_a_dense_one(model):
    stored = to_json(Experiment(model=model, steps=7))
    del stored["model"]["decoder"]
    assert from_json(stored).model.decoder == DenseDecoder()
    stored["model"]["decoder_widths"] = [3, 4]
    assert from_json(stored).model.decoder == DenseDecoder((3, 4))
    stored["model"]["decoder"] = {"type": "cnn.DeconvolutionDecoder", "channels": [5]}
    with pytest.raises(UserError, match=r"model.decoder_widths: .* has no such field"):
        from_json(stored)
    del stored["model"]["decoder_widths"]
    assert from_json(stored).model.decoder == DeconvolutionDecoder((5,))
