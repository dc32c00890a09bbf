"""Exports in the place of runs: their weights are those of the run, and nothing else fits."""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from common.errors import UserError
from inference import load_model
from inference.cost import measure
from inference.export import export_run
from inference.restore import restore_run
from tests.training.test_continuing import NormalisedConfig, save_images
from tests.training.test_step import assert_same
from training import loop
from training.experiment import Experiment
from training.run import finding
from training.run.directory import RunDirectory
from training.trained import read_run

STEPS = 3


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return Experiment(
        model=NormalisedConfig(),
        dataset=save_images(tmp_path_factory.mktemp("images"), 4),
        steps=STEPS,
        batch_size=8,
        validate_every=STEPS,
        ema_decay=0.5,
    )


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "run"
    loop.run(experiment, name="tiny", workdir=str(folder))
    return folder


@pytest.fixture
def exported(run, experiment, tmp_path):
    restored = restore_run(run, configurations=lambda name: experiment)
    export_run(restored, RunDirectory(run).read_record(), tmp_path / "out", program=False)
    return tmp_path / "out"


def read(folder, experiment, **options):
    return read_run(folder, configurations=lambda name: experiment, **options)


def test_an_export_is_the_run_as_it_is_evaluated(run, exported, experiment):
    before, after = read(run, experiment), read(exported, experiment)
    assert (after.name, after.step) == ("tiny", STEPS)
    assert after.signature == before.signature
    assert_same(before.state.evaluated_params, after.state.evaluated_params)
    means = [
        [leaf for path, leaf in jax.tree.leaves_with_path(each.state.other) if "norm" in str(path)]
        for each in (before, after)
    ]
    assert len(means[0]) == 2
    assert_same(*means)
    shapes = [jax.tree.map(lambda leaf: leaf.shape, each.state) for each in (before, after)]
    assert shapes[0] == shapes[1]

    images = np.random.default_rng(0).uniform(size=(5, 6, 6, 1)).astype(np.float32)
    known: dict[str, Any] = {"configurations": lambda name: experiment}
    expected, found = (load_model(folder, **known)(images) for folder in (run, exported))
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    restored = restore_run(exported, **known)
    assert restored.weights == restore_run(run, **known).weights
    assert measure(restored.setup, restored.state, batch_size=2)["parameters"] > 0
    assert RunDirectory(exported).read_record() == RunDirectory(run).read_record()


def test_another_run_starts_from_an_export(exported, experiment, tmp_path, capsys):
    started = dataclasses.replace(experiment, init_from=str(exported))
    workdir = str(tmp_path / "next")
    loop.run(started, name="tiny", workdir=workdir, configurations=lambda name: experiment)
    line = f"tiny starts from the weights of {exported} (tiny) at step {STEPS}: 6 of 6 arrays\n"
    assert line in capsys.readouterr().out


def test_what_an_export_cannot_do_is_said(exported, experiment):
    known: dict[str, Any] = {"configurations": lambda name: experiment}
    with pytest.raises(UserError, match=r"is an export of one step; leave --checkpoint=best out"):
        read(exported, experiment, checkpoint="best")
    with pytest.raises(UserError, match=r"is an export of one step; leave --match_accuracy out"):
        restore_run(exported, match_accuracy=0.9, **known)
    before = {file: file.read_bytes() for file in exported.iterdir()}
    longer = dataclasses.replace(experiment, steps=STEPS + 1)
    for asked in (experiment, longer):
        with pytest.raises(UserError, match=r"cannot be trained on; .* by --init_from="):
            loop.run(asked, name="tiny", workdir=str(exported), extend=True)
    assert {file: file.read_bytes() for file in exported.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("hidden.bias"), "another network: it has no hidden.bias"),
        (
            lambda weights: weights.update({"output.bias": np.zeros(5, np.float32)}),
            r"another network: output.bias has the shape \[5\] in place of \[4\]",
        ),
        (
            lambda weights: weights.update(more=np.zeros(1, np.float32)),
            "another network: it has more too",
        ),
    ],
)
def test_weights_of_another_network_are_named(exported, experiment, change, said):
    file, config = exported / "weights.safetensors", exported / "config.json"
    weights, stored = load_file(file), json.loads(config.read_text())
    change(weights)
    save_file(weights, file)
    del stored["sha256"]  # as in a folder that was put together by hand
    config.write_text(json.dumps(stored))
    with pytest.raises(UserError, match=rf"weights\.safetensors is of {said}"):
        read(exported, experiment)


def test_damage_is_named(exported, experiment):
    file, config = exported / "weights.safetensors", exported / "config.json"
    content = file.read_bytes()
    for wrong in (b"", content[:-9], b"\xff" * 20):
        file.write_bytes(wrong)
        with pytest.raises(UserError, match=r"weights\.safetensors is damaged .*export the run"):
            read(exported, experiment)
    file.write_bytes(content)
    stored = json.loads(config.read_text())
    config.write_text(json.dumps(stored | {"step": "many"}))
    with pytest.raises(UserError, match=r"config\.json has no step of its weights"):
        read(exported, experiment)
    config.write_text(json.dumps(stored | {"signature": {"image_shape": []}}))
    with pytest.raises(UserError, match=r"config\.json: it is not the signature of a network"):
        read(exported, experiment)


def test_models_of_the_project_have_names(exported, experiment, monkeypatch):
    monkeypatch.setattr(finding, "ZOO", exported.parent)
    assert finding.find_runs(["zoo:out"]) == [exported]
    assert read("zoo:out", experiment).step == STEPS
    for name in ("tiny", "", "../out", "out/"):
        with pytest.raises(UserError, match=rf"^RUN=zoo:{name} is not in the zoo, which has out$"):
            finding.find_runs([f"zoo:{name}"])
