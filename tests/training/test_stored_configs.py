"""Run folders are data: what they name is rebuilt if it is a configuration, and never run."""

import copy
import dataclasses
import json
import os
import pathlib
import sys

import jax
import pytest

import capsnet
import cnn
import configs
import equivariant
import stn
from capsnet import CapsNetConfig
from common.errors import UserError
from evaluation.reports.learning_curves import identity
from inference.restore import restore_run
from training import config_names, config_types
from training.config_names import TAG
from training.config_types import to_json, types_in
from training.experiment import Experiment, from_json
from training.run.directory import RunDirectory

# The config.json of runs of every kind, each as it was written before types had public names.
OLD = json.loads((pathlib.Path(__file__).parent / "stored_configs.json").read_text())
CAPSNET = OLD[0]["experiment"]


def folder(path, stored):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(stored))
    return RunDirectory(path)


@pytest.mark.parametrize("stored", OLD, ids=lambda stored: stored["name"])
def test_a_run_of_older_code_is_still_the_same_experiment(stored, tmp_path):
    directory = folder(tmp_path / "run", stored)
    name, experiment = directory.load()
    experiment.check()
    (directory.checkpoints / "1").mkdir(parents=True)
    directory.check(name, experiment)  # resumes
    with pytest.raises(UserError, match="seed: "):
        directory.check(name, dataclasses.replace(experiment, seed=99))
    again = json.loads(json.dumps(to_json(experiment)))
    assert from_json(again) == experiment
    assert again[TAG] == "training.Experiment"
    assert identity(again) == identity(stored["experiment"])


def test_old_runs_are_what_their_configurations_still_are():
    same = [s for s in OLD if from_json(s["experiment"]) == configs.load(s["name"])]
    assert len(same) >= len(OLD) - 1  # one has overrides


@pytest.mark.parametrize("room", [capsnet, cnn, equivariant, stn], ids=lambda room: room.__name__)
def test_public_names_are_those_of_the_packages_that_are_installed(room):
    public = [name for name in config_names.MODULES if name.startswith(f"{room.__name__}.")]
    assert len(public) > 3
    for name in public:
        short = name.rpartition(".")[2]
        assert getattr(room, short) is config_names.imported(name)
        assert short in room.__all__


def test_the_tables_name_every_type_that_configurations_have():
    assert set(config_names.OLD_NAMES.values()) <= set(config_names.MODULES)
    assert {t for s in OLD for t in tags(s["experiment"])} == set(config_names.OLD_NAMES)
    for name in config_names.MODULES:
        kind = config_types._find(name, dict, "")
        assert dataclasses.is_dataclass(kind)
        assert config_names.name_of(kind) == name


def tags(stored):
    if isinstance(stored, dict):
        return {stored[TAG]}.union(*(tags(value) for value in stored.values()))
    return set().union(*map(tags, stored)) if isinstance(stored, list) else set()


def changed(path, value):
    """A stored experiment with one field replaced."""
    stored = copy.deepcopy(CAPSNET)
    *parents, last = path.split(".")
    holder = stored
    for parent in parents:
        holder = holder[parent]
    holder[last] = value
    return stored


def call(name, /, **fields):
    return {TAG: name, **fields}


def deep(levels, leaf):
    for _ in range(levels):
        leaf = [leaf]
    return leaf


# What must not come back from a run folder, each with what the message has to name.
ATTACKS = {
    "a program": (changed("model", call("os.system", command="touch pwned")), "os.system"),
    "a process": (changed("model", call("subprocess.Popen", args="touch pwned")), "Popen"),
    "an expression": (changed("model", call("builtins.eval", source="1")), "builtins.eval"),
    "an import": (changed("optimizer", call("builtins.__import__", name="pwned")), "__import__"),
    "a module of the path": (changed("model", call("pwned.Config")), "pwned.Config"),
    "a module alone": (changed("model", call("pwned")), "pwned"),
    "a walk over attributes": (
        changed("model", call("capsnet.networks.sabour.nnx.jax.os.system", command="touch pwned")),
        "nnx.jax",
    ),
    "a walk from the table": (
        changed("model", call("capsnet.CapsNetConfig.build.__globals__")),
        "__globals__",
    ),
    "a constructor": (changed("model", call("capsnet.CapsNetConfig.__init__")), "__init__"),
    "a class": (changed("model", call("capsnet.CapsNetConfig.__class__")), "__class__"),
    "a function of ours": (changed("model", call("training.loop.run", name="x")), "loop.run"),
    "a dataclass of ours": (
        changed("model", call("inference.restore.RestoredRun", name="x")),
        "RestoredRun",
    ),
    "a class of ours": (
        changed("model", call("training.run.directory.RunDirectory", path="pwned")),
        "RunDirectory",
    ),
    "a module of configurations": (changed("model", call("configs.load", name="x")), "configs"),
    "an item of a tuple": (
        changed("model.decoder_widths", [call("os.system", command="touch pwned")]),
        r"model.decoder.widths\[0\]: 'os.system'",
    ),
    "a suite": (changed("suites", [["clean"]]), r"suites\[0\]=\['clean'\]: must be of type str"),
    "a type in a number": (changed("steps", call("os.getpid")), "steps: 'os.getpid'"),
    "a configuration in a number": (
        changed("steps", call("capsnet.CapsNetConfig")),
        "steps='capsnet.CapsNetConfig': must be of type int",
    ),
    "a configuration in a text": (
        changed("dataset.name", call("data.Placement")),
        "dataset.name='data.Placement': must be of type str",
    ),
    "a text in a number": (changed("steps", "5"), "steps='5': must be of type int"),
    "a truth in a number": (changed("steps", True), "steps=True: must be of type int"),
    "a fraction in a whole number": (changed("steps", 5.5), "steps=5.5: must be of type int"),
    "a number in a truth": (
        changed("model.leaky", 1),
        "model.routing.leaky=1: must be of type bool",
    ),
    "a number in a text": (changed("dataset.name", 3), "dataset.name=3: must be of type str"),
    "a text in a tuple's place": (
        changed("model.decoder_widths", "12"),
        "model.decoder.widths='12': must be of type tuple",
    ),
    "nothing in a number": (changed("steps", None), "steps=None: must be of type int"),
    "an endless number": (changed("seed", 10**400), "seed=1000.*must be less than 2\\^63"),
    "a number for a type": (changed("model", call(3)), "model: names no type"),
    "a list for a type": (changed("model", call(["capsnet.CapsNetConfig"])), "model: names no"),
    "no type": (changed("model", {"steps": 3}), "model: names no type of configuration"),
    "a field too many": (changed("model.__class__", "x"), "model.__class__: .* no such field"),
    "a method for a field": (changed("model.build", "os.system"), "model.build: .*no such field"),
    "a field too few": ({TAG: "training.Experiment"}, "model: is missing"),
    "deep lists": (changed("model", deep(900, 1)), "nested more than 20 deep"),
    "deep items": (changed("model.decoder_widths", deep(900, 1)), "model.decoder.widths.*type int"),
    "a long text": (changed("dataset.name", "x" * 10**6), "dataset.name: is longer than"),
    "lines": (changed("dataset.name", "a\nb"), "dataset.name='a.*without control characters"),
    "a long list": (changed("milestones", [0.5] * 10**6), "milestones: is longer than"),
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that leaves a file behind when it is imported, and a folder to leave it in."""
    modules, there = tmp_path / "modules", tmp_path / "there"
    modules.mkdir()
    there.mkdir()
    text = f"import pathlib\npathlib.Path({str(there / 'pwned')!r}).touch()\nclass Config: ...\n"
    for name in ("pwned", "evil"):
        (modules / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.chdir(there)
    for name in ("system", "getpid", "popen"):
        monkeypatch.setattr(os, name, lambda *_, **__: (there / "pwned").touch())
    yield there
    assert not list(there.iterdir())
    assert not {"pwned", "evil"} & set(sys.modules)


@pytest.mark.parametrize(("stored", "message"), ATTACKS.values(), ids=ATTACKS)
def test_nothing_of_a_run_folder_is_called(stored, message, trap, tmp_path):
    folder(tmp_path / "run", {"name": "capsnet_mnist", "experiment": stored})
    with pytest.raises(UserError, match=message) as caught:
        restore_run(tmp_path / "run", configurations=configs.load)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "name",
    ["../../evil", "evil", "evil:x", "../modules/evil", "/etc/passwd", "os", "__init__", "..", ""],
)
def test_a_name_in_a_run_folder_is_that_of_a_configuration_or_none(name, trap, tmp_path):
    stored = {"name": name, "experiment": changed("model", call("evil.Config"))}
    folder(tmp_path / "run", stored)
    with pytest.raises(UserError):
        restore_run(tmp_path / "run", configurations=configs.load)


def test_a_name_brings_in_no_more_than_the_types_of_its_configuration(trap, tmp_path):
    stored = {"name": "cnn_mnist", "experiment": changed("model", call("evil.Config"))}
    folder(tmp_path / "run", stored)
    with pytest.raises(UserError, match=r"'evil\.Config' is no type of configuration"):
        restore_run(tmp_path / "run", configurations=configs.load)


@pytest.mark.parametrize(
    ("part", "other", "method"),
    [
        ("model", "optimizer", "build"),
        ("optimizer", "model", "build"),
        ("optimizer", "dataset", "build"),
        ("dataset", "model", "load"),
        ("optimizer.schedule", "model", "build"),
        ("dataset.distortion", "model", "__call__"),
    ],
)
def test_a_part_in_the_place_of_another_is_refused(part, other, method):
    experiment = from_json(changed(part, CAPSNET[other]))
    with pytest.raises(UserError, match=rf"^{part}=\w+: must have {method}\("):
        experiment.check()


@dataclasses.dataclass
class OwnSchedule:
    """A schedule of a user's own."""

    rate: float | None = None
    kind: str | int = "flat"
    sizes: list[int] = dataclasses.field(default_factory=list)

    def build(self, learning_rate, steps):
        return lambda step: learning_rate


@dataclasses.dataclass
class OwnConfig(CapsNetConfig):
    """A model of a user's own, whose parts are the user's own too."""

    parts: tuple[OwnSchedule, ...] = (OwnSchedule(),)


def test_a_type_of_ones_own_is_found_through_ones_own_configuration(tmp_path):
    own = Experiment(model=OwnConfig(parts=(OwnSchedule(0.5, 3, [1]), OwnSchedule())), steps=3)
    own.check()
    stored = json.loads(json.dumps({"name": "own", "experiment": to_json(own)}))
    directory = folder(tmp_path / "run", stored)
    with pytest.raises(UserError, match="OwnConfig' is no type of configuration that is known"):
        directory.load()

    def configurations(name):
        assert name == "own"
        return Experiment(model=OwnConfig(), steps=1)

    name, experiment = directory.load(configurations)
    assert (name, experiment) == ("own", own)
    (directory.checkpoints / "1").mkdir(parents=True)
    directory.check("own", own)
    stored["experiment"]["model"]["parts"][0]["sizes"] = [call("os.system")]
    directory = folder(tmp_path / "other", stored)
    with pytest.raises(UserError, match=r"model.parts\[0\].sizes\[0\]: 'os.system'"):
        directory.load(configurations)


def test_what_cannot_be_stored_does_not_begin():
    with pytest.raises(UserError, match=r"suites\[0\]=<built-in function.*: must be of type str"):
        Experiment(model=CapsNetConfig(), steps=3, suites=(os.getpid,)).check()  # pyright: ignore
    with pytest.raises(UserError, match=r"model=<.*: cannot be stored"):
        Experiment(model=jax.numpy.tanh, steps=3).check()
    assert OwnConfig.__name__ in {kind.__name__ for kind in types_in(OwnConfig()).values()}
