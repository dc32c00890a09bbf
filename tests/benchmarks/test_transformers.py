import dataclasses

import pytest

from benchmarks import transformers
from common.errors import UserError
from configs import stn_mnist
from data.sources.load import DatasetConfig
from stn.networks.mnist import TransformerNetworkConfig

SMALL = DatasetConfig(train="train[:64]", validation="train[64:80]", test="test[:20]", shift=0)


@pytest.fixture(autouse=True)
def small(monkeypatch, data_dir):
    """Three networks and a task that train in a second."""
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    monkeypatch.setattr(transformers, "_MEASURED_SECONDS", 0.0)
    networks = {
        "fcn": TransformerNetworkConfig("fcn", transformers=0, parameters=10_000),
        "st_fcn": TransformerNetworkConfig("fcn", parameters=70_000),
    }
    experiment = stn_mnist.experiment

    def small_experiment(task, network):
        made = experiment(task, "fcn")
        made.model, made.batch_size = networks[network], 16
        made.dataset = dataclasses.replace(made.dataset, source=SMALL)
        return made

    monkeypatch.setattr(transformers, "NETWORKS", tuple(networks))
    monkeypatch.setattr(stn_mnist, "experiment", small_experiment)


def test_budgets_are_equal_in_time_or_in_images(monkeypatch):
    speeds = iter([50.0, 2.0])
    monkeypatch.setattr(transformers, "steps_per_second", lambda experiment: next(speeds))
    assert transformers.plan("r", minutes=0.5) == {
        "fcn": {"images": 60, "time": 1500},
        "st_fcn": {"images": 60, "time": 60},
    }


def test_the_speed_is_measured_after_compilation():
    speed = transformers.steps_per_second(stn_mnist.experiment("r", "fcn"))
    assert speed > 1.0


@pytest.mark.slow
def test_every_run_leaves_a_record(tmp_path):
    budgets = {"fcn": {"images": 4, "time": 6}, "st_fcn": {"images": 4, "time": 4}}
    transformers.compare("r", budgets, tmp_path)
    found = sorted(path.parent.name for path in tmp_path.glob("*/record.json"))
    assert found == ["r_fcn_4", "r_fcn_6", "r_st_fcn_4"]


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "[]",
        '{"fcn": 3}',
        '{"fcn": {"images": 4}}',
        '{"fcn": {"images": 4, "time": "x"}}',
        '{"fcn": {"images": 4, "time": 0}}',
        '{"../fcn": {"images": 4, "time": 4}}',
    ],
)
def test_a_plan_that_is_none_is_named(tmp_path, plan):
    (tmp_path / "r_plan.json").write_text(plan)
    with pytest.raises(UserError, match=r"r_plan\.json is damaged"):
        transformers.main(["r", f"--workdir={tmp_path}"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--minutes=0"], "argument --minutes: 0: must be positive"),
        (["--minutes=nan"], "argument --minutes: nan: must be positive"),
        (["--records="], "argument --records: is empty; name"),
    ],
)
def test_arguments_are_looked_at_first(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(transformers, "plan", None)
    with pytest.raises(SystemExit):
        transformers.main(["r", f"--workdir={tmp_path}", *arguments])
    assert said in capsys.readouterr().err
