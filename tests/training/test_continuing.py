"""Runs that are continued by more steps, and those that start from the weights of another."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import Output
from common.errors import UserError
from data.sources.load import DatasetConfig
from tests.configs.test_command_line import parsed
from tests.training.test_step import assert_same
from tests.training.tiny_model import Tiny, TinyConfig
from training import continuing, initial, loop
from training.experiment import Experiment
from training.optimizers import AdamConfig, ConstantSchedule, CosineSchedule
from training.run.directory import RunDirectory
from training.trained import read_run

LEARNING_RATE = 0.01
CLASSES = 4


@dataclasses.dataclass
class NormalisedConfig(TinyConfig):
    """A tiny network with batch normalisation before it."""

    def build(self, image_shape, num_classes, rngs):
        return Normalised(self, image_shape, num_classes, rngs)


class Normalised(Tiny):
    def __init__(self, config, image_shape, num_classes, rngs):
        super().__init__(config, image_shape, num_classes, rngs)
        self.norm = nnx.BatchNorm(image_shape[-1], rngs=rngs)

    def __call__(self, images) -> Output:
        return super().__call__(self.norm(images))


def save_images(folder, classes):
    random = np.random.default_rng(0)
    path = folder / f"{classes}.npz"
    images = random.integers(0, 256, (30 * classes, 6, 6, 1), np.uint8)
    np.savez(path, images=images, labels=np.arange(30 * classes) % classes)
    return DatasetConfig(name=f"folder:{path}", shift=0)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("images"), CLASSES)


@pytest.fixture(scope="module")
def train(images, tmp_path_factory):
    """Trains the experiment with some changes, once for each, and returns the folder."""
    found = {}

    def run(steps, *, folder=None, **fields):
        experiment = Experiment(
            model=NormalisedConfig(),
            steps=steps,
            batch_size=8,
            dataset=images,
            optimizer=AdamConfig(LEARNING_RATE, CosineSchedule(warmup_steps=2)),
            ema_decay=0.9,
            validate_every=5,
            checkpoint_every=3,
            monitors=(),
        )
        experiment = dataclasses.replace(experiment, **fields)
        key = repr(experiment)
        if folder is None and key in found:
            return found[key]
        path = folder or tmp_path_factory.mktemp("run") / "run"
        loop.run(
            experiment,
            name="tiny",
            workdir=str(path),
            configurations=known,
            extend=folder is not None,
        )
        return found.setdefault(key, path) if folder is None else path

    return run


def state_of(folder):
    return jax.device_get(read_run(folder, configurations=known).state)


def known(_):
    """An experiment with the types of those here, whatever its name."""
    return Experiment(NormalisedConfig(), steps=1)


def stored(folder, name="config"):
    return json.loads((folder / f"{name}.json").read_text())


def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def cosine(step, steps, warmup=2):
    if step < warmup:
        return LEARNING_RATE * step / warmup
    return LEARNING_RATE * 0.5 * (1.0 + np.cos(np.pi * (step - warmup) / (steps - warmup)))


def test_learning_rates_are_those_of_each_number_of_steps_up_to_its_end():
    staged = continuing.Stages(CosineSchedule(warmup_steps=2), (6, 9))
    rate = staged.build(LEARNING_RATE, 14)
    ends = [6] * 6 + [9] * 3 + [14] * 5
    expected = [cosine(step, end) for step, end in enumerate(ends)]
    np.testing.assert_allclose(jax.vmap(rate)(jnp.arange(14)), expected, rtol=1e-5, atol=1e-8)


def test_a_finished_run_goes_on_as_one_that_was_to_have_all_steps(train, tmp_path, capsys):
    folder = copied(train(6), tmp_path)
    before = stored(folder, "record")
    train(14, folder=folder)
    line = (
        f"{folder} goes on to step 14; up to step 6 its learning rates are those of a run of 6 "
        "steps, from there on those of a run of 14 steps, which begin at 0.0075 in place of 0"
    )
    assert line in capsys.readouterr().out.splitlines()
    assert (stored(folder, "record")["step"], stored(folder, "record_6")) == (14, before)
    assert stored(folder)["experiment"]["continued_at"] == [6]
    assert_same(state_of(folder), state_of(train(14, continued_at=(6,))))
    # The same command finds it complete, and one with fewer steps another experiment.
    train(14, folder=folder)
    assert "is complete" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"experiment.steps: 14 -> 13"):
        train(13, folder=folder)


def test_without_a_schedule_that_depends_on_them_more_steps_are_the_longer_run(
    train, tmp_path, capsys
):
    optimizer = AdamConfig(LEARNING_RATE, ConstantSchedule())
    folder = copied(train(6, optimizer=optimizer), tmp_path)
    train(14, folder=folder, optimizer=optimizer)
    said = "its learning rates are those of a run of 14 steps throughout"
    assert f"{folder} goes on to step 14; {said}" in capsys.readouterr().out
    assert stored(folder)["experiment"]["continued_at"] == []
    assert_same(state_of(folder), state_of(train(14, optimizer=optimizer)))


@pytest.mark.parametrize("is_set_aside", [False, True])
def test_a_run_that_was_killed_while_it_was_continued_goes_on(train, tmp_path, is_set_aside):
    folder = copied(train(6), tmp_path)
    config = stored(folder)
    config["experiment"] |= {"steps": 14, "continued_at": [6]}
    (folder / "config.json").write_text(json.dumps(config))
    if is_set_aside:
        (folder / "record.json").rename(folder / "record_6.json")
    assert RunDirectory(folder).read_record() is None
    train(14, folder=folder)
    assert stored(folder, "record")["step"] == 14
    assert stored(folder, "record_6")["step"] == 6
    assert_same(state_of(folder), state_of(train(14, continued_at=(6,))))


def test_a_run_that_had_not_ended_keeps_its_schedule_up_to_its_end(train, tmp_path):
    folder = copied(train(6), tmp_path)
    (folder / "record.json").unlink()
    shutil.rmtree(folder / "checkpoints" / "6")
    train(14, folder=folder)
    assert_same(state_of(folder), state_of(train(14, continued_at=(6,))))


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"batch_size": 16}, "experiment.batch_size: 8 -> 16; experiment.steps: 6 -> 14"),
        ({"seed": 1}, "experiment.seed: 0 -> 1; experiment.steps: 6 -> 14"),
        ({"init_from": "runs/a"}, "experiment.init_from:  -> runs/a"),
        ({"continued_at": (5,)}, "experiment.continued_at: .* -> .5"),
    ],
)
def test_a_run_with_other_changes_is_another_experiment(train, tmp_path, fields, difference):
    folder = copied(train(6), tmp_path)
    with pytest.raises(UserError, match=difference):
        train(14, folder=folder, **fields)
    assert stored(folder, "record")["step"] == 6


def test_only_those_who_ask_for_it_continue_a_run(train, images, tmp_path):
    folder = copied(train(6), tmp_path)
    experiment = read_run(folder, configurations=known).experiment
    with pytest.raises(UserError, match="holds another experiment"):
        loop.run(dataclasses.replace(experiment, steps=14), name="tiny", workdir=str(folder))


@pytest.mark.parametrize("ends", [(14,), (6, 6), (0, 6), (9, 6)])
def test_stages_that_cannot_be(ends):
    with pytest.raises(UserError, match=r"continued_at=.*: must rise from 1 to below steps"):
        Experiment(NormalisedConfig(), steps=14, continued_at=ends).check()


def test_a_run_starts_from_the_weights_that_another_was_evaluated_with(train, tmp_path):
    source = train(6)
    origin = state_of(source)
    folder = train(1, init_from=str(source))
    program = read_run(folder, configurations=known).program
    found, facts = initial.from_run(
        program.create_state(),
        str(source),
        configurations=known,
    )
    assert_same(found.params, origin.average)
    assert_same(found.average, origin.average)
    assert_same(found.optimizer, program.create_state().optimizer)
    statistics = nnx.filter_state(found.other, nnx.BatchStat)
    assert_same(statistics, nnx.filter_state(origin.other, nnx.BatchStat))
    assert int(found.step) == int(jax.tree.leaves(found.other["calls"])[0]) == 0
    expected = {"run": str(source), "name": "tiny", "step": 6, "taken": 6, "new": []}
    assert facts == stored(folder, "record")["initial weights"] == expected
    assert stored(folder)["experiment"]["init_from"] == str(source)
    assert stored(source, "record")["initial weights"] is None


def test_a_head_of_other_classes_is_new_and_resumption_needs_no_source(
    train, tmp_path, capsys, monkeypatch
):
    source = copied(train(6), tmp_path)
    fields = {"dataset": save_images(tmp_path, CLASSES - 1), "init_from": str(source)}
    whole = train(4, **fields)
    line = (
        f"tiny starts from the weights of {source} (tiny) at step 6: 4 of 6 arrays; new, for there "
        "are none of their shapes: output.bias, output.kernel"
    )
    assert line in capsys.readouterr().out.splitlines()
    killed = tmp_path / "killed"

    def stop(training, _):
        training.checkpoints.wait()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_compile", stop)
        with pytest.raises(KeyboardInterrupt):
            train(4, folder=killed, **fields)
    shutil.rmtree(source)
    train(4, folder=killed, **fields)
    assert_same(state_of(killed), state_of(whole))
    same = "initial weights"
    assert stored(killed, "record")[same] == stored(whole, "record")[same]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", r"--init_from=.*nothing: .*nothing holds no run"),
        ("empty", r"--init_from=.*empty: .*empty has no checkpoint yet"),
        ("other", r"--init_from=.*other: no array of its parameters has a name and shape of this"),
    ],
)
def test_weights_that_cannot_be_had(train, tmp_path, source, message):
    run = copied(train(6), tmp_path)
    shutil.copytree(run, tmp_path / "empty")
    shutil.rmtree(tmp_path / "empty" / "checkpoints")
    run.rename(tmp_path / "other")
    state = read_run(tmp_path / "other", configurations=known).state
    alien = state._replace(params={"elsewhere": jnp.zeros((2, 3))})
    with pytest.raises(UserError, match=message):
        initial.from_run(
            alien,
            str(tmp_path / source),
            configurations=known,
        )


@pytest.mark.parametrize("words", [["--init_from=runs/a"], ["--init_from", "runs/a"]])
def test_the_command_line_stores_where_weights_are_from(words):
    assert parsed("--config=cnn_mnist", *words).experiment.init_from == "runs/a"
