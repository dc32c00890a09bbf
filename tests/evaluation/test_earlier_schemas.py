"""Records of schemas 1 and 2 come along: numbers to the last bit, texts as types."""

import json

import numpy as np
import pytest

from common.errors import UserError
from evaluation.reports.trainings import summarise
from evaluation.results.artifacts import (
    ConfusionMatrix,
    Images,
    ObjectStatistics,
    ReliabilityDiagram,
    ShiftMap,
)
from evaluation.results.earlier_schemas import SUITES, result_from_earlier
from evaluation.results.provenance import Checkpoint
from evaluation.results.quantities import Axis, Detail, Metric
from evaluation.results.schema import results_from_json
from evaluation.results.store import RecordStore
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "evaluation" / "earlier_records"
PATHS = sorted(FOLDER.glob("records/*/*/*.json"))
PLAIN = {
    "suite": "mine",
    "metric": "share of right ones",
    "value": 0.5,
    "interval": [0.4, 0.6],
    "interval_method": "mine 95 %",
    "count": 100,
    "data_checksum": "abc",
}


def records():
    return dict(zip(PATHS, RecordStore(FOLDER).read_all(), strict=True))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_numbers_intervals_and_outcomes_stay(path):
    before, arrays = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
    record = records()[path]
    assert record.suite == SUITES.get(before["suite"], before["suite"])
    assert record.seconds == before["seconds"]
    provenance = record.provenance
    for name in ("run", "name", "model", "seed", "step", "weights", "parameters", "limit", "data"):
        assert getattr(provenance, name) == before[name]
    assert provenance.environment == before["environment"]
    assert provenance.experiment == before["experiment"]
    assert str(provenance.checkpoint) == before["checkpoint"]
    assert len(record.results) == len(before["results"]) > 0
    pictures = 0
    for number, (result, old) in enumerate(zip(record.results, before["results"], strict=True)):
        assert (result.value, list(result.interval)) == (old["value"], old["interval"])
        assert (result.count, result.interval_method) == (old["count"], old["interval_method"])
        assert (result.strength, list(result.flags)) == (old["strength"], old["flags"])
        assert result.metric.unit == old["unit"]
        if str(number) in arrays:
            assert result.outcomes is not None
            assert result.outcomes.dtype == arrays[str(number)].dtype
            np.testing.assert_array_equal(result.outcomes, arrays[str(number)])
        else:
            assert result.outcomes is None
        pictures += sum(isinstance(each, Images) for each in result.artifacts)
    assert pictures == sum(" " in name for name in arrays.files)


def test_every_detail_is_a_detail_or_part_of_an_artifact():
    for path, record in records().items():
        for result, old in zip(
            record.results, json.loads(path.read_text())["results"], strict=True
        ):
            kept = sum(each.value for each in result.details.values())
            for artifact in result.artifacts:
                if not isinstance(artifact, Images):
                    kept += sum(np.nansum(array) for array in artifact.to_arrays().values())
            assert kept == pytest.approx(sum(old["details"].values()))


def test_texts_have_become_types():
    found = {record.suite: record.results for record in records().values()}
    (calibration,) = found["calibration"]
    (diagram,) = calibration.artifacts
    assert isinstance(diagram, ReliabilityDiagram)
    assert (calibration.metric, calibration.details) == (
        Metric("calibration error", "rate", False),
        {},
    )
    (matrix,) = found["confusions"][0].artifacts
    assert isinstance(matrix, ConfusionMatrix)
    assert matrix.counts.sum() == found["confusions"][0].count
    first, *_, contrast = found["brightness_and_contrast"]
    assert first.axis == Axis("added to every pixel", "of the full range", identity=0.0)
    assert contrast.axis == Axis("distance from the mean", "times the original", identity=1.0)
    assert first.chance == 0.1
    assert first.definition.keys() == {"clipped to", "grey levels"}
    jagged = found["small_shifts"][0]
    assert jagged.metric.higher_is_better is False
    assert jagged.metric.limits == (0.0, np.inf)
    assert {name: each.unit for name, each in jagged.details.items()} == dict.fromkeys(
        ("flips for each step", "jump of the true class's probability", "accuracy over all steps"),
        "rate",
    )
    conditions = {result.condition for result in found["localized_attack"]}
    assert conditions == {"squares", "squares of noise"}
    assert {result.definition["mask"] for result in found["localized_attack"]} == {"4 squares"}
    assert {result.metric.name for result in found["detection"]} == {
        "false alarm rate",
        "detection rate",
        "AUROC of reconstruction error",
        "attack success rate",
        "undetected attack success rate",
    }
    (matched,) = (r for r in records().values() if r.provenance.checkpoint != Checkpoint())
    assert matched.provenance.checkpoint == Checkpoint.first_past(0.985)


def test_maps_and_statistics_among_details_become_artifacts():
    shifted = {
        f"image 1, a 7, shifted by {x}, {y}": 0.1 * (x + 1) + 0.3 * (y + 1)
        for x in (-1, 0, 1)
        for y in (-1, 0, 1)
    }
    placed = {
        f"test, class {label}: {name}, {kind}": label + 0.5
        for label in (0, 2)
        for name in ("x", "y", "width", "height", "angle")
        for kind in ("mean", "sd")
    }
    result = result_from_earlier({**PLAIN, "details": {**shifted, **placed, "other": 0.25}})
    shift_map, statistics = result.artifacts
    assert isinstance(shift_map, ShiftMap)
    assert shift_map.label == "image 1, a 7"
    np.testing.assert_allclose(shift_map.accuracy[1], [0.3, 0.4, 0.5])  # not shifted along y
    assert isinstance(statistics, ObjectStatistics)
    assert statistics.label == "test"
    np.testing.assert_array_equal(statistics.angle, [[0.5] * 2, [np.nan] * 2, [2.5] * 2])
    assert result.details == {"other": Detail(0.25)}


@pytest.mark.parametrize(
    ("metric", "unit", "expected"),
    [
        ("top accuracy", "rate", Metric("top accuracy", "rate", True)),
        ("fooled rate", "rate", Metric("fooled rate", "rate", False)),
        ("share", "rate", Metric("share", "rate", None)),
        ("tilt error", "px", Metric("tilt error", "px", False, (0.0, np.inf))),
        ("margin", "nats", Metric("margin", "nats", None, (-np.inf, np.inf))),
        ("mistakes", "images", Metric("mistakes", "images", None, (0.0, 100.0))),
    ],
)
def test_metrics_of_custom_suites_keep_what_their_names_said(metric, unit, expected):
    assert result_from_earlier({**PLAIN, "metric": metric, "unit": unit}).metric == expected


def test_switches_of_reports_leave_the_definition():
    parameters = {"identity": 0.0, "headline": 2.0, "scale": "logarithmic", "chance": 0.5}
    found = result_from_earlier(
        {
            **PLAIN,
            "axis": "size, pixels",
            "strength": 2.0,
            "parameters": {**parameters, "strengths": [0.0, 2.0], "padding": "zeros"},
        }
    )
    assert found.axis == Axis("size", "pixels", log=True, identity=0.0, headline=2.0)
    assert (found.chance, found.definition) == (0.5, {"padding": "zeros"})


def test_a_final_record_of_schema_1_is_read():
    training = json.loads((FOLDER / "training.json").read_text())
    clean, pose = results_from_json(training)
    assert (clean.value, clean.metric.name) == (training["results"][0]["value"], "accuracy")
    assert pose.metric == Metric("median error", "px", False, (0.0, np.inf))
    assert "`stn_mnist:tc,st_cnn_affine`" in summarise(FOLDER)


def stored_with(tmp_path, details):
    path = tmp_path / "records" / "a" / "last" / "confusions.json"
    path.parent.mkdir(parents=True)
    content = json.loads(next(each for each in PATHS if each.stem == "confusions").read_text())
    content["results"][0]["details"] = details
    path.write_text(json.dumps(content))
    np.savez(path.with_suffix(".npz"))
    return RecordStore(tmp_path)


@pytest.mark.parametrize(
    "details",
    [
        {"label 9999, answer 9999": 1.0},
        {"label 0, answer 0": -1.0},
        {"label 0, answer 1": 1.0},
        {"all images shifted by 999, -999": 0.5},
        {"all images shifted by -1, 0": 0.5},
        {"all images shifted by 0, 0": 1.5},
        {"test, class 1: x, mean": 1.0},
        {"other": "text"},
    ],
    ids=str,
)
def test_parts_of_what_is_not_there_end_in_a_line(tmp_path, details):
    with pytest.raises(UserError, match=r"confusions\.json is damaged"):
        stored_with(tmp_path, details).read_all()


@pytest.mark.parametrize(
    "name",
    ["label 99999999999999, answer 0", "test, class 99999999999999: x, mean", "confidence in bin"],
)
def test_names_of_nothing_that_is_drawn_are_details(tmp_path, name):
    (record,) = stored_with(tmp_path, {name: 1.0}).read_all()
    assert record.results[0].details == {name: Detail(1.0, "images")}
    assert record.results[0].artifacts == ()
