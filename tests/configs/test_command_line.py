"""Flags as people write them, and what they are told where they write something else."""

import dataclasses
import math
import typing

import pytest
from absl import flags

import configs
from capsnet.routing import DynamicRouting, UniformRouting
from common.errors import UserError
from configs import _overrides


def parsed(*arguments):
    flags.FLAGS.unparse_flags()
    return configs.parse_flags(["train.py", *arguments])


def changed(*arguments):
    """The fields that a command line changes of `cnn_mnist`."""
    experiment = parsed("--config=cnn_mnist", *arguments)[1]
    before, after = map(_overrides.leaves, (configs.load("cnn_mnist"), experiment))
    return {path: value for path, value in after.items() if before[path] != value}


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("--config.steps=10", "steps", 10),
        ("-config.steps=10", "steps", 10),
        ("--config.steps= 10 ", "steps", 10),
        ("--config.steps=1_000", "steps", 1000),
        ("--config.steps=0x10", "steps", 16),
        ("--config.optimizer.learning_rate=1e-4", "optimizer.learning_rate", 1e-4),
        ("--config.optimizer.learning_rate=1", "optimizer.learning_rate", 1.0),
        ("--config.optimizer.slow_part=", "optimizer.slow_part", ""),
        ("--config.model.channels=(4,5)", "model.channels", (4, 5)),
        ("--config.model.channels=[4, 5]", "model.channels", (4, 5)),
        ("--config.model.channels=4,5", "model.channels", (4, 5)),
        ("--config.model.channels=(4,)", "model.channels", (4,)),
        ("--config.model.channels=4", "model.channels", (4,)),
        ("--config.model.channels=()", "model.channels", ()),
        ("--config.model.channels=", "model.channels", ()),
        ("--config.milestones=(1,5e-1)", "milestones", (1.0, 0.5)),
        ("--config.suites=clean,shear", "suites", ("clean", "shear")),
        ("--config.suites=('clean', \"shear\")", "suites", ("clean", "shear")),
        ("--config.suites=('a,b',)", "suites", ("a,b",)),
    ],
)
def test_values_as_people_write_them(argument, path, value):
    found = changed(argument)
    assert found == ({path: value} if value != "" else {})
    if found:
        assert type(found[path]) is type(value)
        assert changed(*argument.split("=", 1)) == found or not argument.split("=", 1)[1].strip()


def test_truths():
    def leaky(argument):
        return parsed("--config=capsnet_mnist", argument)[1].model.routing.leaky

    for argument in ("", "=true", "=True", "=1", "=t"):
        assert leaky(f"--config.model.routing.leaky{argument}") is True
    for argument in ("--noconfig.model.routing.leaky", "--config.model.routing.leaky=false"):
        assert leaky(argument) is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config.model.channels=(4,4)", "--config.model.channels=(8,8)"],
        ["--config.steps=4", "--config.steps", "5"],
        ["--config.model.dropout=.1", "--config.model.dropout=.2"],
        ["--config.suites=clean,pose", "--config.suites=shear"],
        ["--config.dataset.name=a", "--config.dataset.name=b"],
    ],
)
def test_of_a_flag_that_is_given_twice_the_last_counts(arguments):
    assert changed(*arguments) == changed(*arguments[1:])
    assert len(changed(*arguments)) == 1


def test_of_two_configurations_the_last_counts():
    assert parsed("--config=faces", "--config", "cnn_mnist")[0] == "cnn_mnist"
    with pytest.raises(UserError, match="--config=a: no such"):
        parsed("--config", "cnn_mnist", "--config", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mnst", "did you mean mnist or cnn_mnist?; --config=list says"),
        ("mnist:", "--config=mnist:: name an argument after the colon"),
        ("../../evil", "--config=../../evil: no such configuration"),
        ("_overrides", "--config=_overrides: no such configuration"),
        ("__init__", "--config=__init__: no such configuration"),
        ("few_examples:cnn,\uff1100", "name a network and a number of images"),
        ("few_examples:cnn," + "9" * 5000, "--config=few_examples:cnn,999"),
        ("stn_addition:12", "'12' is not a number of transformers"),
        ("cnn_mnist --steps=10", "flag 'steps'; did you mean --config.steps?"),
        ("cnn_mnist --lr=1", "flag 'lr'; did you mean --config.optimizer.learning_rate?"),
        ("cnn_mnist --batch-size=1", "did you mean --config.batch_size?"),
        ("cnn_mnist --seed=1", "did you mean --config.seed?"),
        ("cnn_mnist --weight_deca=1", "did you mean --config.optimizer.weight_decay?"),
        ("cnn_mnist --optimizer.beta1=1", "did you mean --config.optimizer.beta1?"),
        ("cnn_mnist --decay=1", "did you mean --config.ema_decay?"),
        ("capsnet_mnist --model.iteration=1", "did you mean --config.model.routing.iterations or"),
        ("cnn_mnist --zzzz=1", "flag 'zzzz'; see --help"),
        ("cnn_mnist --config.lr=1", "did you mean --config.optimizer.learning_rate?"),
        ("cnn_mnist --config.model.steps=1", "did you mean --config.steps?"),
        ("cnn_mnist seed=1", "unexpected argument 'seed=1'; write --config.seed=1"),
        ("cnn_mnist faces", "unexpected argument 'faces'; a run has one configuration"),
        ("cnn_mnist -- --config.seed=1", "unexpected argument '--config.seed=1'"),
        ("cnn_mnist --config.steps=", "--config.steps=: must be a whole number"),
        ("cnn_mnist --config.steps=1e3", "--config.steps=1e3: must be a whole number, such as"),
        ("cnn_mnist --config.steps=\uff11\uff10", "\uff11\uff10: must be a whole number"),
        ("cnn_mnist --config.steps=" + "9" * 5000, "--config.steps=99999"),
        ("cnn_mnist --config.ema_decay=1.0.0", "--config.ema_decay=1.0.0: must be a number"),
        ("cnn_mnist --config.steps --config.seed=1", "--config.steps=--config.seed=1: must be"),
        ("cnn_mnist --config.model.channels=(4,,5)", "write items with commas between"),
        ("cnn_mnist --config.model.channels=((4,5),)", "every item must be of type int"),
        ("cnn_mnist --config.model.channels=(4.5,5)", "every item must be of type int"),
        ("cnn_mnist --config.model.channels=(True,5)", "every item must be of type int"),
        ("cnn_mnist --config.milestones=(a,.5)", "every item must be of type float"),
        ("capsnet_mnist --config.model.routing.leaky=", "must be true or false"),
        ("capsnet_mnist --config.model.routing.leaky false", "unexpected argument 'false'"),
        ("capsnet_mnist --noconfig.steps", "--noconfig.steps: only a field that is true or"),
        (
            "capsnet_mnist --noconfig.model.routing.leaky=1",
            "--noconfig.model.routing.leaky=1: only a field",
        ),
        ("capsnet_mnist --config.dataset.distortion=3", "written in a configuration, a file in"),
        (
            "capsnet_mnist --config.dataset.distortion.shear=3",
            "dataset.distortion is None in this configuration",
        ),
        ("capsnet_mnist --config.dataset=mnist", "--config.dataset: name one of its fields: name"),
        ("capsnet_mnist --config.=3", "unknown field ''; there are model, steps"),
        ("capsnet_mnist --flagfile=/nowhere", "Unable to open flagfile"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_said_of_slips(arguments, message):
    with pytest.raises(UserError) as caught:
        parsed("--config", *arguments.split())
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert len(text) < 700


@pytest.mark.parametrize("word", ["capsnet_mnist", "capsnet_mnits", "mnist:cnn", "list"])
def test_a_configuration_without_its_flag(word):
    meant = word.replace("mnits", "mnist")
    with pytest.raises(UserError, match=f"^unexpected argument '{word}'; write --config={meant}$"):
        parsed(word, "--seeds=0,1")
    with pytest.raises(UserError, match="--config is missing"):
        parsed("--workdir", word)
    with pytest.raises(UserError, match="--config is missing"):
        parsed("--config", "--config.steps=10")


@pytest.mark.parametrize("arguments", [("--config=list",), ("--config", "list", "--seeds=1")])
def test_the_list_has_a_line_for_each(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(*arguments)
    assert not stop.value.code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == configs.names()
    tiny = next(line for line in lines if line.startswith("capsnet_mnist_tiny"))
    assert tiny.endswith("  A small CapsNet on MNIST that learns in a minute on a CPU.")


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help(flag, capsys):
    for arguments, expected in (
        ((flag,), "--config=NAME\n" if flag != "--helpfull" else "absl.app:"),
        (("--config=cnn_mnist", flag), "--config.optimizer.learning_rate=0.001"),
        ((flag, "--config", "affnist:cnn", "--nonsense"), "--config.dataset.pad=6"),
    ):
        with pytest.raises(SystemExit) as stop:
            parsed(*arguments)
        assert not stop.value.code
        assert expected in capsys.readouterr().out


def test_help_of_the_command(command):
    for arguments in (["--help"], ["--config=cnn_mnist", "-h"], ["--config", "list"]):
        process = command("train.py", *arguments, check=True)
        assert process.stderr == ""
        assert ("--workdir=None\n      The run's folder" in process.stdout) == (
            "list" not in arguments
        )
    assert len(command("train.py", "--help").stdout.splitlines()) < 30


def test_flags_in_a_file(tmp_path):
    file = tmp_path / "flags"
    file.write_text("--config=cnn_mnist\n--config.steps=7\n")
    chosen = parsed(f"--flagfile={file}")
    assert (chosen.name, chosen.experiment.steps) == ("cnn_mnist", 7)


@dataclasses.dataclass
class Own:
    """Fields as a user's own configuration may have them."""

    width: float | None = 1.0
    kind: typing.Literal["a", 3] = "a"
    sizes: list[int] = dataclasses.field(default_factory=list)
    pair: tuple[int, str] = (1, "x")
    free: typing.Any = 2
    odd: typing.Any = math.sin


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model.width", "none", None),
        ("model.width", "0.5", 0.5),
        ("model.kind", "3", 3),
        ("model.sizes", "1,2", [1, 2]),
        ("model.pair", "(2,'y')", (2, "y")),
        ("model.free", "3", 3),
    ],
)
def test_fields_of_ones_own(path, text, value):
    experiment = dataclasses.replace(configs.load("cnn_mnist"), model=Own())
    found = _overrides.parse(path, text, _overrides.field_type(experiment, path))
    changed = _overrides.replaced(experiment, path, found)
    assert _overrides.leaves(changed)[path] == value
    assert experiment.model == Own()


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("model.width", "much", "must be none or must be a number"),
        ("model.kind", "b", "choose one of a, 3"),
        ("model.pair", "1", "must have 2 items"),
        ("model.odd", "cos", "a flag cannot set a field of this type"),
    ],
)
def test_slips_in_fields_of_ones_own(path, text, message):
    experiment = dataclasses.replace(configs.load("cnn_mnist"), model=Own())
    with pytest.raises(UserError, match=f"^--config.{path}={text}: .*{message}"):
        _overrides.parse(path, text, _overrides.field_type(experiment, path))


def test_a_part_is_chosen_by_name_and_then_its_fields():
    def routing(*arguments):
        return parsed("--config=capsnet_mnist", *arguments)[1].model.routing

    assert routing("--config.model.routing=uniform_routing") == UniformRouting()
    assert routing("--config.model.routing", "uniform_routing") == UniformRouting()
    fields = ["--config.model.routing.iterations=2", "--config.model.routing.leaky"]
    chosen = "--config.model.routing=dynamic_routing"
    assert routing(*fields, chosen) == routing(chosen, *fields) == DynamicRouting(2, leaky=True)
