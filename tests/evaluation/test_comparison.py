import dataclasses

import numpy as np
import pytest

from evaluation.comparison.tables import tabulate
from evaluation.results.provenance import Checkpoint
from evaluation.results.quantities import Axis, Metric
from evaluation.results.result import mean
from evaluation.statistics.intervals import NOT_NEGATIVE, spread, wilson_interval
from tests.evaluation.made_up import (
    COUNT,
    SPLIT,
    clean,
    number,
    record,
    rotation,
    three_seeds,
    with_flag,
)


def only_row(records):
    (table,) = tabulate(records)
    (row,) = table.rows
    return row


def test_one_seed_keeps_the_interval_of_its_result():
    found = only_row([record("net", clean(0.9))]).headlines["net"]
    assert (found.value, found.interval) == (0.9, wilson_interval(180, COUNT))
    assert (found.method, found.seeds, found.spread) == ("Wilson 95 %", (0,), None)


def test_an_interval_reaches_from_its_value_and_never_backwards():
    found = only_row([record("net", number("pose", "error", 2.0, "px", interval=(1.5, 3.0)))])
    assert found.headlines["net"].reach == (0.5, 1.0)
    aside = dataclasses.replace(found.headlines["net"], value=1.0)
    assert aside.reach == (0.0, 2.0)
    assert dataclasses.replace(aside, interval=None).reach == (0.0, 0.0)


def test_seeds_are_grouped_and_their_spread_is_that_of_their_values():
    row = only_row(three_seeds("net", 0.8))
    found = row.headlines["net"]
    assert found.seeds == (0, 1, 2)
    assert found.value == pytest.approx(0.805)
    assert found.spread == spread(found.by_seed)
    np.testing.assert_allclose(found.by_seed, [0.8, 0.805, 0.81])
    assert found.method == "two-level bootstrap 95 %"
    assert found.interval is not None
    assert found.interval[0] < 0.76 < 0.85 < found.interval[1]  # 600 images alone give 0.77 to 0.84


def test_a_curve_has_the_mean_without_the_identity_as_headline():
    row = only_row([record("net", rotation((0.5, 1.0, 0.7)))])
    found = row.headlines["net"]
    assert row.is_curve
    assert found.value == pytest.approx(0.6)
    assert found.strengths == (-90.0, 90.0)
    assert found.method == "bootstrap of images 95 %"
    assert [point.value for point in found.points] == [0.5, 1.0, 0.7]
    assert found.points[1].interval == wilson_interval(COUNT, COUNT)
    # Half of the images are right at both angles, a fifth at one: of variance 0.5 * (1 - 0.6)^2 +
    # 0.2 * (0.5 - 0.6)^2 + 0.3 * 0.6^2.
    half = 1.972 * np.sqrt(0.19 / COUNT)
    np.testing.assert_allclose(found.interval, (0.6 - half, 0.6 + half), atol=0.003)


def test_a_suite_may_name_the_strength_of_its_headline():
    curve = rotation((0.5, 1.0, 0.7), headline=90.0)
    found = only_row([record("net", curve)]).headlines["net"]
    assert found.strengths == (90.0,)
    assert (found.value, found.interval) == (0.7, wilson_interval(140, COUNT))
    assert found.outcomes is not None
    assert found.outcomes.dtype == bool


def test_a_curve_of_several_seeds_has_wider_bands_than_one_of_equal_seeds():
    def bands(shares):
        records = [
            record("net", rotation((share, 1.0, share)), seed=seed)
            for seed, share in enumerate(shares)
        ]
        points = only_row(records).headlines["net"].points
        assert points[0].value == pytest.approx(np.mean(shares))
        return points[0].interval[1] - points[0].interval[0]

    assert bands([0.5, 0.6, 0.7]) > 2 * bands([0.6, 0.6, 0.6])


def test_rows_of_a_suite_stand_together_and_the_overview_has_what_models_share():
    layers = [number("causes", "lack", 0.5, "", condition=name) for name in ("first", "last")]
    records = [record("a", layers[1]), record("a", clean(0.9)), record("b", layers)]
    (table,) = tabulate(records)
    assert [(row.suite, row.condition) for row in table.rows] == [
        ("clean", ""),
        ("causes", "last"),
        ("causes", "first"),
    ]
    assert table.overview == (table.rows[1],)
    (alone,) = tabulate(records[:2])
    assert alone.overview == alone.rows


def test_numbers_without_outcomes_have_intervals():
    records = [
        record(model, number("pose", "median error", value, "px", NOT_NEGATIVE), seed=seed)
        for model, values in (("a", (1.0, 2.0, 3.0)), ("b", (11.0, 12.0, 13.0)))
        for seed, value in enumerate(values)
    ]
    row = only_row(records)
    found = row.headlines["a"]
    # Student's t, but an error in pixels is never below 0.
    assert found.interval == (0.0, spread([1.0, 2.0, 3.0]).interval[1])
    assert found.spread.interval == found.interval
    assert found.method == "t over seeds 95 %"
    curve = [
        number("faces", "AUROC", value, "rate", strength=strength, axis=Axis("displacement"))
        for strength, value in enumerate((0.5, 0.9))
    ]
    lone = only_row([record("a", curve)]).headlines["a"]
    assert lone.value == pytest.approx(0.7)
    assert lone.interval is None


def test_matched_checkpoints_have_a_table_of_their_own():
    matched = Checkpoint.matched(0.99)
    records = [
        record("a", clean(0.99)),
        record("a", clean(0.5), checkpoint=matched),
        record("b", clean(0.9), checkpoint=matched),
    ]
    tables = tabulate(records)
    assert [(table.checkpoint, table.models) for table in tables] == [
        (Checkpoint(), ("a",)),
        (matched, ("a", "b")),
    ]
    assert tables[0].flags == ()


@pytest.mark.parametrize("known", [{"limit": 100}, {"data": "other"}])
def test_other_images_are_never_compared(known):
    tables = tabulate([record("a", clean(0.9)), record("b", clean(0.1), **known)])
    assert len(tables) == 2
    for table in tables:
        assert len(table.models) == 1
        assert any("never compared" in flag for flag in table.flags)


def test_nothing_but_the_definition_keeps_results_apart():
    def curve(**switches):
        axis = Axis("angle", "degrees", identity=0.0, **switches)
        return [dataclasses.replace(result, axis=axis) for result in rotation((0.5, 1.0, 0.7))]

    first, second = record("a", curve()), record("b", curve(log=True, headline=90.0))
    for records in ([first, second], [second, first]):
        row = only_row(records)
        assert row.axis == records[0].results[0].axis
        # One axis for all of them, or their headlines would be of other strengths.
        (values,) = {each.value for each in row.headlines.values()}
        assert values == pytest.approx(0.7 if row.axis.headline else 0.6)


def test_other_definitions_are_never_compared():
    records = [
        record("a", rotation((0.9, 1.0, 0.9), definition={"padding": "zeros"})),
        record("b", rotation((0.1, 1.0, 0.1), definition={"padding": "border"})),
    ]
    (table,) = tabulate(records)
    assert [list(row.headlines) for row in table.rows] == [["a"], ["b"]]


def test_models_may_lack_a_suite_and_a_seed():
    records = [
        record("b", number("pose", "median error", 1.5, "px")),
        record("b", clean(0.9)),
        record("of a user", clean(0.2), seed=None),
    ]
    (table,) = tabulate(records)
    assert [row.suite for row in table.rows] == ["clean", "pose"]
    assert list(table.rows[1].headlines) == ["b"]
    assert table.rows[0].headlines["of a user"].seeds == (None,)


def test_a_repeated_training_counts_once():
    again = record("a", clean(0.1), run="copy")
    (table,) = tabulate([record("a", clean(0.9)), again])
    assert table.rows[0].headlines["a"].seeds == (0,)
    assert table.rows[0].headlines["a"].value == 0.9
    assert table.flags == ("copy is the same model and seed as a_seed0 and left out",)


def test_flags_are_kept_once():
    curve = [with_flag(result, "small faces") for result in rotation((0.5, 1.0, 0.5))]
    assert only_row([record("a", curve)]).headlines["a"].flags == ("small faces",)


def test_nothing_to_compare_is_no_table():
    assert tabulate([]) == []
    (table,) = tabulate([dataclasses.replace(record("a", clean(0.9)), results=())])
    assert table.rows == ()


def test_who_was_trained_once_beside_others_is_flagged():
    once, thrice = record("once", clean(0.9)), three_seeds("thrice", 0.8)
    (table,) = tabulate([once, *thrice])
    assert table.flags == (
        "once was trained once: how much another seed would differ is not known",
    )
    for records in ([once], thrice, [once, record("also", clean(0.8))]):
        (table,) = tabulate(records)
        assert not table.flags


def test_counts_and_speeds_of_two_seeds_stay_possible():
    for suite, metric, unit, bounds, values in (
        ("confusions", "errors", "images", (0.0, COUNT), (20.0, 38.0)),
        ("cost", "training images/s", "images/s", NOT_NEGATIVE, (100.0, 900.0)),
        ("faces", "AUROC", "rate", None, (0.9, 0.99)),
        ("selectivity", "selectivity", "times", NOT_NEGATIVE, (0.5, 9.0)),
    ):
        records = [
            record("net", number(suite, metric, value, unit, bounds), seed=seed)
            for seed, value in enumerate(values)
        ]
        found = only_row(records).headlines["net"]
        low, high = found.interval
        assert 0.0 <= low < found.value < high
        assert high <= {"images": COUNT, "rate": 1.0}.get(unit, np.inf)
        assert found.points[0].interval == found.spread.interval == found.interval
        free = spread(values).interval
        assert free[0] < 0.0 or free[1] > 1.0  # what Student's t alone would say


def test_a_record_that_gave_zeros_the_interval_of_a_share_is_put_right():
    metric = Metric("shiftability error", "of the sums", False, NOT_NEGATIVE)
    zeros = mean("layer_equivariance", metric, np.zeros(COUNT), SPLIT)
    assert zeros.interval == (0.0, 0.0)
    old = dataclasses.replace(zeros, interval=(0.0, 0.037), interval_method="bootstrap")
    found = only_row([record("net", old)]).headlines["net"]
    assert found.interval == found.points[0].interval == (0.0, 0.0)
    assert found.method == "none: the same for every image"
    # Of a share it stays: all wrong on these images is not beyond doubt.
    share = mean("small_shifts", Metric("consistency"), np.zeros(COUNT), SPLIT)
    assert share.interval == wilson_interval(0, COUNT)
    assert only_row([record("net", share)]).headlines["net"].interval == share.interval
