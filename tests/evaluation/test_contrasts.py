"""Contrasts: estimates against a slow reference, verdicts on made-up records."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from evaluation.comparison.contrasts import Contrast, Outcome, against
from evaluation.comparison.tables import Stated, tabulate
from evaluation.metrics.classification import ACCURACY
from evaluation.results.quantities import Axis, Metric, Part
from evaluation.results.result import mean, rate
from evaluation.statistics.contrasts import Arm, estimate
from evaluation.statistics.intervals import ANY, NOT_NEGATIVE, SHARE
from evaluation.statistics.scales import IDENTITY, LOG, LOG_COUNTS, LOG_ODDS, scale_for
from tests.evaluation.made_up import COUNT, SPLIT, clean, hits, number, record, rotation

MARGIN = math.log(1.25)


def arm(outcomes):
    outcomes = np.asarray(outcomes)
    return Arm(outcomes.mean(axis=1), outcomes.shape[1], outcomes)


def drawn(shape=(4, 50), share=0.8, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def reference(first, second, margin):
    """The contrast of shares, number by number."""

    def logit(outcomes):
        found, count = sum(map(float, outcomes)), len(outcomes)
        return math.log((found + 0.5) / (count - found + 0.5))

    count = len(first[0])
    gaps, noise = [0.0] * count, 0.0
    difference, parts = 0.0, []
    for sign, rows in ((1, first), (-1, second)):
        logits = [logit(row) for row in rows]
        level = sum(logits) / len(logits)
        difference += sign * level
        spread = sum((value - level) ** 2 for value in logits) / (len(logits) - 1)
        parts.append((spread / len(logits), len(logits) - 1))
        share = (np.mean(rows) * count + 0.5) / (count + 1)
        slope = 1 / (share * (1 - share))
        for image in range(count):
            column = [float(row[image]) for row in rows]
            middle = sum(column) / len(column)
            gaps[image] += sign * slope * middle
            variance = sum((value - middle) ** 2 for value in column) / (len(column) - 1)
            noise += slope**2 * variance / len(column) / count
    middle = sum(gaps) / count
    of_images = max(sum((gap - middle) ** 2 for gap in gaps) / (count - 1) - noise, 0) / count
    parts.append((of_images, count - 1))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    error = math.sqrt(variance)
    half = stats.t.ppf(0.975, freedom) * error
    p_value = 2 * stats.t.sf(abs(difference) / error, freedom)
    p_apart = max(stats.t.sf((margin + sign * difference) / error, freedom) for sign in (1, -1))
    return difference, (difference - half, difference + half), p_value, p_apart


@pytest.mark.parametrize("seed", range(5))
def test_a_contrast_agrees_with_its_reference(seed):
    first = drawn((3, 60), 0.9, seed)
    second = drawn((5, 60), 0.7, seed + 10) & (np.arange(60) > 5)
    found = estimate(arm(first), arm(second), LOG_ODDS, MARGIN)
    difference, interval, p_value, p_apart = reference(first, second, MARGIN)
    assert found.difference == pytest.approx(difference)
    assert found.interval == pytest.approx(interval)
    assert found.p_value == pytest.approx(p_value)
    assert found.p_apart == pytest.approx(p_apart)


def test_a_contrast_by_hand_on_a_scale_of_differences():
    # Two trainings of two arms, without outcomes: variances 0.5 / 2 + 0.5 / 2, by one degree each.
    found = estimate(Arm(np.array([4.0, 5.0]), 10), Arm(np.array([1.0, 2.0]), 10), IDENTITY, None)
    assert (found.difference, found.natural, found.p_apart) == (3.0, 3.0, 1.0)
    half = stats.t.ppf(0.975, 2) * math.sqrt(0.5)
    assert found.interval == pytest.approx((3 - half, 3 + half))
    assert found.natural_interval == pytest.approx(found.interval)
    assert found.p_value == pytest.approx(2 * stats.t.sf(3 / math.sqrt(0.5), 2))


def test_errors_over_images_widen_what_has_no_outcomes():
    def width(error):
        one = Arm(np.arange(20.0), 100, error=error)
        low, high = estimate(one, one, IDENTITY, None).interval
        return high - low

    # The variance of a mean of twenty is 35 / 20 in each arm.
    assert width(2.0) == pytest.approx(width(0.0) * np.sqrt(1 + 8 / 3.5), rel=0.05)


def test_turning_a_contrast_round_changes_its_sign_alone():
    first, second = arm(drawn(share=0.9)), arm(drawn(share=0.6, seed=1))
    one = estimate(first, second, LOG_ODDS, MARGIN)
    other = estimate(second, first, LOG_ODDS, MARGIN)
    assert other.difference == pytest.approx(-one.difference)
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))
    assert (other.p_value, other.p_apart) == pytest.approx((one.p_value, one.p_apart))


def test_a_single_training_has_no_contrast():
    with pytest.raises(ValueError, match="arms of 4 and 1 trainings: each takes two"):
        estimate(arm(drawn()), arm(drawn((1, 50))), LOG_ODDS, MARGIN)


def test_models_that_predict_alike_do_not_differ():
    same = arm(np.repeat(drawn((1, 50)), 3, axis=0))
    found = estimate(same, same, LOG_ODDS, MARGIN)
    assert (found.difference, found.p_value, found.p_apart, found.is_same) == (0.0, 1.0, 0.0, True)


def test_a_few_images_that_all_agree_are_weak_evidence():
    # No variance at all, yet of four signs all alike there are two in sixteen.
    found = estimate(arm(np.ones((2, 4))), arm(np.zeros((2, 4))), LOG_ODDS, MARGIN)
    assert found.p_value == pytest.approx(2 / 16)


def test_without_images_a_contrast_is_that_of_welch():
    # An outside oracle, with trainings that are unequal in number and in spread.
    random = np.random.default_rng(0)
    first, second = random.normal(1.0, 3.0, 4), random.normal(0.0, 0.5, 7)
    found = estimate(Arm(first, 10**9), Arm(second, 10**9), IDENTITY, None)
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert found.interval == pytest.approx(tuple(welch.confidence_interval()))


@pytest.mark.parametrize(
    ("limits", "is_count", "scale"),
    [
        (SHARE, False, LOG_ODDS),
        (NOT_NEGATIVE, False, LOG),
        (NOT_NEGATIVE, True, LOG_COUNTS),
        ((0.0, 10.0), True, LOG_COUNTS),
        (ANY, False, IDENTITY),
        ((-1.0, 1.0), False, IDENTITY),
    ],
)
def test_the_limits_of_a_quantity_choose_its_scale(limits, is_count, scale):
    assert scale_for(limits, is_count) is scale


def test_small_measured_errors_keep_their_ratio():
    # Half of a hundred images would make .0055 to .0052 of it.
    assert LOG.to(0.0005, 100) - LOG.to(0.0002, 100) == pytest.approx(math.log(2.5))
    assert LOG.to(0.0, 100) == LOG.to(1e-8, 100)


@pytest.mark.parametrize("scale", [LOG_ODDS, LOG, LOG_COUNTS, IDENTITY])
@pytest.mark.parametrize("value", [0.0, 0.005, 0.3, 0.999, 1.0])
def test_scales_are_finite_at_their_ends_and_have_their_slopes(scale, value):
    there = scale.to(value, 1000)
    assert np.isfinite(there)
    assert scale.back(there) == pytest.approx(value, abs=1e-3)
    step = 1e-6
    if 0.0 < value < 1.0:
        slope = (scale.to(value + step, 10**9) - scale.to(value - step, 10**9)) / (2 * step)
        assert scale.slope(value, 10**9) == pytest.approx(slope, rel=1e-3)


def trainings(model, share, count=5, spread=1, **facts):
    """Trainings whose hits differ by so many images from one to the next."""
    return [
        record(model, clean(share + spread * seed / COUNT, seed, **facts), seed=seed)
        for seed in range(count)
    ]


def judged(records, *contrasts, **stated):
    (table,) = tabulate(records, Stated(contrasts or None, **stated))
    return table


def test_the_second_of_two_models_is_the_control():
    table = judged(trainings("mine", 0.9) + trainings("cnn", 0.5))
    (verdict,) = table.verdicts
    assert (verdict.first, verdict.second, verdict.outcome) == ("mine", "cnn", Outcome.BETTER)
    assert verdict.row is table.rows[0]
    assert table.verdicts_of(table.rows[0]) == [verdict]
    assert verdict.estimate.natural == pytest.approx(0.4, abs=0.01)
    (turned,) = judged(trainings("cnn", 0.5) + trainings("mine", 0.9)).verdicts
    assert turned.outcome is Outcome.WORSE


def test_of_more_models_none_is_compared_without_a_control():
    records = [each for name in "abc" for each in trainings(name, 0.5)]
    assert judged(records).verdicts == ()
    assert [v.first for v in judged(records, control="b").verdicts] == ["a", "c"]
    assert against("abc", "c") == [Contrast("a", "c"), Contrast("b", "c")]
    (table,) = tabulate(records)
    assert table.verdicts == ()


def test_models_within_the_margin_are_equivalent_and_near_it_undecided():
    close = trainings("a", 0.8, 10) + trainings("b", 0.8, 10)
    (verdict,) = judged(close).verdicts
    assert verdict.outcome is Outcome.EQUIVALENT
    apart = trainings("a", 0.83, 3, spread=4) + trainings("b", 0.8, 3, spread=4)
    assert judged(apart).verdicts[0].outcome is Outcome.UNDECIDED
    # The same difference decides where nobody calls it small.
    (strict,) = judged(close, ratio=1.0001).verdicts
    assert strict.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("lone", [0, 1])
def test_a_single_training_has_no_verdict(lone):
    thrice, once = trainings("thrice", 0.9, 3), trainings("once", 0.2, 1)
    records = once + thrice if lone == 0 else thrice + once
    (verdict,) = judged(records).verdicts
    assert verdict.outcome is Outcome.NONE
    assert verdict.reason == "once: one training"
    assert verdict.estimate is None


@pytest.mark.parametrize("higher", [True, False, None])
def test_a_metric_knows_which_side_is_better(higher):
    metric = Metric("any name", "rate", higher)
    records = [
        record(model, dataclasses.replace(clean(share, seed), metric=metric), seed=seed)
        for model, share in (("much", 0.9), ("little", 0.2))
        for seed in range(5)
    ]
    expected = {True: [Outcome.BETTER], False: [Outcome.WORSE], None: []}[higher]
    assert [verdict.outcome for verdict in judged(records).verdicts] == expected


def test_only_what_is_stated_is_tested_and_all_of_it_is_one_family():
    # Ten rows alike: the p-value of each is ten times that of a single one.
    def records(rows):
        return [
            record(model, [clean(share, seed, condition=str(k)) for k in range(rows)], seed=seed)
            for model, share in (("a", 0.87), ("b", 0.8))
            for seed in (0, 2, 9)
        ]

    (alone,) = judged(records(1)).verdicts
    many = judged(records(10)).verdicts
    assert len(many) == 10
    assert many[0].adjusted == pytest.approx(min(10 * alone.adjusted, 1.0))
    stated = judged(records(10), Contrast("a", "b", "clean", "3", "accuracy"))
    (verdict,) = stated.verdicts
    assert verdict.row.condition == "3"
    assert verdict.adjusted == pytest.approx(alone.adjusted)
    twice = judged(records(10), *2 * [Contrast("a", "b", condition="3")])
    assert len(twice.verdicts) == 1


def test_rows_that_cannot_differ_are_no_tests():
    def records(with_certain):
        certain = rate("clean", ACCURACY, np.ones(COUNT, bool), SPLIT, condition="certain")
        return [
            record(model, [clean(share, seed), *([certain] if with_certain else [])], seed=seed)
            for model, share in (("a", 0.84), ("b", 0.8))
            for seed in (0, 5, 9)
        ]

    (alone,) = judged(records(False)).verdicts
    one, certain = judged(records(True)).verdicts
    assert certain.outcome is Outcome.NONE
    assert certain.reason == "no training differs from any other"
    assert one.adjusted == alone.adjusted


def test_counts_are_compared_by_ratios():
    metric = Metric("jaggedness", "flips/image", False, NOT_NEGATIVE)

    def measured(model, level):
        random = np.random.default_rng(1)
        return [
            record(model, mean("small_shifts", metric, random.poisson(level, COUNT), SPLIT), seed=s)
            for s in range(10)
        ]

    (verdict,) = judged(measured("blurred", 0.5) + measured("plain", 1.0)).verdicts
    assert verdict.outcome is Outcome.BETTER
    assert verdict.scale is LOG_COUNTS
    low, high = np.exp(verdict.estimate.interval)
    assert low < 0.5 < high < 0.7


def test_values_without_outcomes_are_compared_by_their_trainings():
    records = [
        record(
            model,
            dataclasses.replace(
                number("probe", "R2", value, "", interval=(value - 0.01, value + 0.01)),
                metric=Metric("R2", "", True, (-np.inf, 1.0)),
            ),
            seed=seed,
        )
        for model, values in (("a", (0.8, 0.81, 0.82)), ("b", (0.4, 0.42, 0.41)))
        for seed, value in enumerate(values)
    ]
    (verdict,) = judged(records).verdicts
    assert verdict.outcome is Outcome.BETTER
    assert verdict.scale is IDENTITY
    assert verdict.margin is None


def test_failed_trainings_are_reported_apart():
    def one(model, seed, share):
        return record(model, clean(share, seed, chance=0.1), seed=seed)

    good = [one("good", seed, 0.9 + seed / COUNT) for seed in range(5)]
    dead = [one("mixed", seed, 0.7 + seed / COUNT) for seed in range(4)] + [one("mixed", 4, 0.1)]
    table = judged(good + dead)
    (failure,) = table.failures
    assert (failure.model, failure.seed, failure.accuracy) == ("mixed", 4, 0.1)
    assert failure.threshold == pytest.approx((0.1 + 0.715) / 2)
    assert table.rows[0].headlines["mixed"].seeds == (0, 1, 2, 3)
    # With the dead training in the mean nobody could tell: it would be the largest spread by far.
    assert table.verdicts[0].outcome is Outcome.BETTER
    # Where all trainings are at chance, that is what the model does.
    for shares in ((0.1, 0.1, 0.1), (0.05, 0.02, 0.09), (0.12, 0.09, 0.1), (0.05,)):
        lost = [one("lost", seed, share) for seed, share in enumerate(shares)]
        assert judged(good + lost).failures == ()


def test_parts_of_an_axis_are_rows_of_their_own():
    axis = Axis(
        "angle",
        "degrees",
        identity=0.0,
        parts=(Part("left", (-90.0,)), Part("right", (90.0, 135.0)), Part("beyond", (180.0,))),
    )
    curve = [dataclasses.replace(each, axis=axis) for each in rotation((0.5, 1.0, 0.7))]
    (table,) = tabulate([record("net", curve)])
    left, right = table.rows  # "beyond" was not measured
    assert [row.place for row in table.rows] == ["left", "right"]
    assert (left.headlines["net"].value, right.headlines["net"].value) == (0.5, 0.7)
    assert (left.leads, right.leads) == (True, False)
    assert len(right.headlines["net"].points) == 3
    contrast = Contrast("net", "net", "rotation", "right")
    assert [contrast.is_about(row) for row in table.rows] == [False, True]


def test_hits_of_made_up_models_are_what_they_say():
    assert hits(0.8).mean() == 0.8
