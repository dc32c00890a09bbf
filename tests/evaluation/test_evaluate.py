"""`evaluation.evaluate`: models of every kind, alone and in groups of seeds."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import evaluation
import inference
from cnn import ConvolutionalNetworkConfig, Output
from common.errors import UserError
from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.duration import describe_seconds
from evaluation.runner import subject_of
from tests.training.test_loop import EXPERIMENT
from training import loop

RANDOM = np.random.default_rng(0)
LABELS = np.tile(np.arange(4), 10).astype(np.int32)
# Each class has a row of its own that is bright.
IMAGES = np.zeros((40, 4, 4, 1), np.uint8)
IMAGES[np.arange(40), LABELS] = 200
SPLIT = Split(IMAGES, LABELS)
DATASET = Dataset("rows", 4, SPLIT, SPLIT, SPLIT)


def right(images):
    return np.asarray(images)[..., 0].sum(axis=2)


def half(images):
    """Knows the first two classes."""
    return right(images) * np.array([1.0, 1.0, 0.0, 0.0])


class Rows(nnx.Module):
    """The rows' brightness, with noise in training."""

    def __init__(self):
        self.weight = nnx.Param(jnp.eye(4))
        self.dropout = nnx.Dropout(0.9, rngs=nnx.Rngs(0))

    def __call__(self, images):
        features = self.dropout(jnp.asarray(images)[..., 0].sum(axis=2))
        return Output(features @ self.weight[...], features=features)


def headline(table, model, suite="clean"):
    (row,) = [row for row in table.rows if row.suite == suite and row.metric.name == "accuracy"]
    return row.headlines[model]


def test_a_function_and_a_module_are_compared():
    (table,) = evaluation.evaluate(
        {"right": right, "half": half, "module": Rows()}, DATASET, suites=["clean"]
    )
    assert table.models == ("right", "half", "module")
    values = [headline(table, model).value for model in table.models]
    assert values == [1.0, 0.5, 1.0]
    assert [record.provenance.parameters for record in table.records] == [None, None, 16]


def test_trainings_of_one_model_are_its_seeds():
    def guess(seed):
        weights = np.eye(4) + np.random.default_rng(seed).normal(size=(4, 4), scale=0.2)
        return lambda images: right(images) @ weights

    models = {"guess": [guess(seed) for seed in range(3)], "right": [right] * 3}
    (table,) = evaluation.evaluate(models, DATASET, suites=["clean"])
    assert headline(table, "guess").seeds == (0, 1, 2)
    (verdict,) = table.verdicts
    assert (verdict.first, verdict.second) == ("guess", "right")


def test_records_are_found_again(tmp_path):
    seen = []

    def counted(images):
        seen.append(len(images))
        return right(images)

    for _ in range(2):
        evaluation.evaluate(counted, DATASET, suites=["clean"], out=tmp_path)
        calls, seen = len(seen), []
    assert calls == 1  # for the checksum alone
    assert (tmp_path / "report.html").stat().st_size > 1000
    assert (tmp_path / "records/model/last/clean.json").is_file()


def test_a_report_has_the_control_of_the_tables(tmp_path):
    """The second of two models is the control, whatever the order of the records' names."""
    models = {"z": [right] * 2, "a": [half, lambda images: half(images) + images.max()]}
    (table,) = evaluation.evaluate(models, DATASET, suites=["clean"], out=tmp_path)
    assert {(each.first, each.second) for each in table.verdicts} == {("z", "a")}
    assert "z against a" in (tmp_path / "report.html").read_text()


def test_the_time_that_it_takes_is_estimated_first(capsys):
    evaluation.evaluate({"right": right, "half": half}, DATASET, suites=["clean", "calibration"])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "about 10 s for 2 models and 2 suites, if all are as fast as the first"
    assert [describe_seconds(each) for each in (3, 52, 170, 8000)] == [
        "about 10 s",
        "about 50 s",
        "about 3 min",
        "about 2.2 h",
    ]


def test_suites_are_quick_ones_or_all_or_named():
    quick = suites.chosen_names([])
    assert quick[0] == "clean"
    assert set(quick) < set(suites.names())
    assert sum(suites.passes(suites.load(name)) for name in quick) < 60
    assert sorted(suites.chosen_names(["all"])) == suites.names()
    assert suites.chosen_names(["rotation", "clean", "rotation"]) == ["rotation", "clean"]
    marked = [line for line in suites.describe().splitlines() if "In the default set." in line]
    assert sorted(line.split()[0] for line in marked) == sorted(quick)


def test_every_suite_says_what_it_costs():
    assert all(hasattr(suites.load(name), "PASSES") for name in suites.names())


def test_a_control_is_a_model():
    with pytest.raises(UserError, match="control='nobody': is none of the models right"):
        evaluation.evaluate({"right": right}, DATASET, suites=["clean"], control="nobody")


def test_what_a_model_lacks_is_said_and_the_rest_goes_on(capsys):
    (table,) = evaluation.evaluate(right, DATASET, suites=["pose_probe", "clean"])
    assert {row.suite for row in table.rows} == {"clean"}
    assert "is not applicable: the model has no `features`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("models", "dataset", "suites", "message"),
    [
        (right, None, ["clean"], "dataset=None: model comes without one"),
        ({"a": 3}, DATASET, ["clean"], "a=3: must be a function"),
        ({"a": []}, DATASET, ["clean"], r"a=\[\]: has no training"),
        (right, DATASET, ["claen"], "did you mean clean"),
        (lambda images: np.full((len(images), 4), np.nan), DATASET, ["clean"], "NaN"),
    ],
)
def test_mistakes_are_named(models, dataset, suites, message):
    with pytest.raises(UserError, match=message):
        evaluation.evaluate(models, dataset, suites=suites)


def test_a_run_and_its_folder_are_models(tmp_path, data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    folder = tmp_path / "run"
    model = ConvolutionalNetworkConfig((3,), pooling=("max2",), dense=(7,))
    experiment = dataclasses.replace(EXPERIMENT, model=model)
    record = loop.run(experiment, name="tiny", workdir=str(folder), data_dir=data_dir)
    run = inference.restore_run(folder, data_dir=data_dir)
    (table,) = evaluation.evaluate({"run": run, "folder": str(folder)}, suites=["clean"])
    (first, second) = [headline(table, name).value for name in ("run", "folder")]
    assert first == second == record["results"][0]["value"]
    fewer = dataclasses.replace(
        run.setup.dataset, name="few", test=run.setup.dataset.test.sample(9)
    )
    subject = subject_of(run, fewer, "run")
    assert (subject.provenance.dataset, len(subject.dataset.test)) == ("few", 9)
