import functools
import importlib
import json
from collections import Counter

import jax
import numpy as np
import pytest
from absl import flags
from jax.sharding import AxisType

import configs
from capsnet.networks.trunks import SabourTrunk
from capsnet.routing import ExpectationMaximisationRouting, VariationalBayesRouting
from cnn.decoder import DenseDecoder
from common.errors import UserError
from configs import load, names, parse_flags
from data.batches import DeviceSplit
from training.experiment import from_json, to_json
from training.step import make_program


@pytest.fixture(autouse=True)
def clean_flags():
    """Overrides define flags; each test starts without those of the one before."""
    yield
    for name in list(flags.FLAGS):
        if name == "config" or name.startswith("config."):
            delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


def test_names_are_the_files():
    assert {
        "capsnet_mnist",
        "capsnet_mnist_paper",
        "capsnet_mnist_tiny",
        "cnn_mnist",
        "cnn_mnist_9x9",
        "cnn_mnist_matched",
        "cnn_mnist_paper",
    } <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_config_says_what_it_is_and_costs(name):
    text = importlib.import_module(f"configs.{name}").__doc__
    assert f"python train.py --config {name}" in text
    assert "Expected:" in text
    assert "Cost:" in text


@pytest.mark.parametrize("name", names())
def test_every_config_survives_being_stored(name):
    experiment = load(name)
    experiment.check()
    assert from_json(json.loads(json.dumps(to_json(experiment)))) == experiment


# What batches are drawn from, by the name of the dataset or of its source.
STORED = {
    "mnist": (28, 28, 1),
    "svhn_cropped": (32, 32, 3),
    "caltech_birds2011": (32, 32, 3),
    "lfw": (48, 48, 2),  # and what is left without the parts
    "faces configuration": (1, 1, 1),  # they are rendered from labels alone
    "viewpoints": (48, 48, 2),
}
# Fields of experiments whose own sizes take minutes.
SMALLER = {
    "multimnist": {
        "model.convolution_channels": 4,
        "model.primary_types": 2,
        "model.decoder": DenseDecoder((4,)),
    },
    "matrix_capsnet": {
        "model.primary_types": 2,
        "model.capsule_types": (2,),
        "model.routing": ExpectationMaximisationRouting(2),
    },
    "variational_capsnet": {
        "model.primary_types": 2,
        "model.capsule_types": (2,),
        "model.routing": VariationalBayesRouting(2, batch_norm=True),
    },
    "affine_capsnet": {"model.trunk": SabourTrunk(types=2, dim=4, channels=2)},
    "attention_capsnet": {
        "model.channels": (2,),
        "model.blocks": (1,),
        "model.types": 2,
        "model.pose_side": 2,
        "model.capsule_strides": (3,),
    },
    "self_routing_capsnet": {
        "model.channels": (2,),
        "model.strides": (4,),
        "model.types": 2,
        "model.pose_dim": 2,
    },
    "stn_colocalisation": {"dataset.images": 3, "dataset.digit": 0},
    "stn_cub": {
        "dataset.size": 32,
        "model.transformers": 2,
        "model.crop": 16,
        "model.widths": (4, 8),
    },
    "stn_extruded": {"dataset.canvas": 32},
    "stn_svhn": {
        "model.channels": (4,) * 4,
        "model.pooling": ("max2",) * 4,
        "model.dense": (16, 16),
    },
}


def quick(name):
    """An experiment on little data, and that data: random images."""
    experiment = load(name)
    experiment.batch_size = 2
    for path, value in SMALLER.get(name, {}).items():
        *parents, field = path.split(".")
        setattr(functools.reduce(getattr, parents, experiment), field, value)
    source = getattr(experiment.dataset, "source", experiment.dataset)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (30, *STORED[source.name]))
    labels = np.arange(30) % 10
    return experiment, DeviceSplit(
        jax.numpy.asarray(images, jax.numpy.uint8), jax.numpy.asarray(labels, jax.numpy.int32)
    )


def parts(name):
    """The kinds of model, data and optimizer of a configuration."""
    experiment = load(name)
    return {type(part) for part in (experiment.model, experiment.dataset, experiment.optimizer)}


def kinds():
    """Configurations with every kind of model, data and optimizer: compiling takes long."""
    found, met = [], set()
    # Kinds that few have come first, and bring most of the others.
    rare = Counter(part for name in names() for part in parts(name))
    for name in sorted(names(), key=lambda name: min(rare[part] for part in parts(name))):
        if not parts(name) <= met:
            found.append(name)
            met |= parts(name)
    return sorted(found)


@pytest.mark.parametrize("name", sorted(set(names()) - set(kinds())))
def test_every_other_config_could_take_a_step(name):
    experiment, split = quick(name)
    seen = jax.eval_shape(
        experiment.dataset.generate, jax.random.key(0), split, np.arange(4)
    ).images
    program, classes = made(name, experiment, seen)
    state, history = jax.eval_shape(
        program.train_steps, jax.eval_shape(program.create_state), split, np.int32(2)
    )
    assert {"loss", "accuracy", "gradient_norm"} <= set(history)
    found = program.outputs.eval_shape(state.params, state.other, seen, ("logits",))
    assert found["logits"].shape == (4, classes)


def made(name, experiment, images):
    """The program of an experiment for images as these, and its number of classes."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    classes = 19 if name == "stn_addition" else 10
    return make_program(experiment, images.shape[1:], classes, mesh), classes


@pytest.mark.slow
@pytest.mark.parametrize("name", kinds())
def test_every_kind_of_config_takes_a_step(name):
    experiment, split = quick(name)
    generate = jax.jit(experiment.dataset.generate)
    seen = np.asarray(generate(jax.random.key(0), split, np.arange(4)).images)
    program, classes = made(name, experiment, seen)
    state, history = program.train_steps(program.create_state(), split, np.int32(2))
    assert int(state.step) == 2
    for metric in ("loss", "accuracy", "gradient_norm"):
        assert np.all(np.isfinite(history[metric][:2]))
    logits = program.outputs(state.evaluated_params, state.other, seen, ("logits",))["logits"]
    assert logits.shape == (4, classes)


def test_overrides_reach_every_level():
    name, experiment, *_ = parse_flags(
        [
            "train.py",
            "--config",
            "capsnet_mnist",
            "--config.seed=7",
            "--config.optimizer.schedule.warmup_steps=5",
            "--config.model.decoder.widths=(5,6)",
            "--config.model.routing.leaky",
            "--config.model.margin_reduction=mean",
            "--config.optimizer.learning_rate=1",
        ]
    )
    assert name == "capsnet_mnist"
    assert experiment.seed == 7
    assert experiment.optimizer.schedule.warmup_steps == 5
    assert experiment.model.decoder.widths == (5, 6)
    assert experiment.model.routing.leaky is True
    assert experiment.model.margin_reduction == "mean"
    assert experiment.optimizer.learning_rate == 1.0


def test_one_run_does_not_change_the_next():
    parse_flags(["train.py", "--config=capsnet_mnist", "--config.seed=7"])
    assert load("capsnet_mnist").seed == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing; choose one of affine_capsnet, affnist"),
        (["--config"], "--config is missing"),
        (["--config=capsnet_mnits"], "no such configuration; did you mean capsnet_mnist"),
        (
            ["--config=zzz"],
            "--config=zzz: no such configuration; --config=list says what they are",
        ),
        (["--config=cnn_mnist:max2"], "cnn_mnist takes no argument; leave out :max2"),
        (["--config=cnn_mnist", "--config.sede=1"], "unknown field 'sede'; did you mean seed?"),
        (
            ["--config=cnn_mnist", "--config.model.chanels=1"],
            "--config.model.chanels: unknown field 'chanels'; did you mean channels",
        ),
        (["--config=cnn_mnist", "--config.seed.x=1"], "unknown field 'x'; it has no fields"),
        (["--config=cnn_mnist", "--config.steps=many"], "--config.steps=many"),
        (["--config=cnn_mnist", "--config.steps=1.5"], "--config.steps=1.5"),
        (
            ["--config=capsnet_mnist", "--config.model.routing.leaky=maybe"],
            "--config.model.routing.leaky=maybe",
        ),
        (["--config=cnn_mnist", "--config.model.channels=(a,b)"], "of type int"),
        (["--config=cnn_mnist", "--config.model=3"], "name one of its fields: channels"),
        (["--config=cnn_mnist", "--config.steps"], "Missing value for flag --config.steps"),
        (["--config=cnn_mnist", "--wrokdir=x"], "Unknown command line flag 'wrokdir'"),
        (["--config=cnn_mnist", "fast"], "unexpected argument 'fast'"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, message):
    with pytest.raises(UserError) as caught:
        parse_flags(["train.py", *arguments])
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_config_may_take_an_argument(monkeypatch):
    def get_config(kind="max2"):
        if kind not in ("max2", "blur3"):
            raise ValueError(f"kind={kind!r}: choose max2 or blur3")
        return kind

    module = importlib.import_module("configs.cnn_mnist")
    monkeypatch.setattr(module, "get_config", get_config)
    assert configs.load("cnn_mnist") == "max2"
    assert configs.load("cnn_mnist:blur3") == "blur3"
    with pytest.raises(UserError, match="--config=cnn_mnist:foo: kind='foo'"):
        configs.load("cnn_mnist:foo")
