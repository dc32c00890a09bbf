"""What decides a study: the stated records alone, whole, and of one experiment."""

import dataclasses

import pytest

from common.errors import UserError
from evaluation.comparison.contrasts import Contrast, Outcome
from evaluation.comparison.evidence import find_evidence
from evaluation.comparison.study import Study
from evaluation.comparison.tables import tabulate
from evaluation.reports import verdicts
from evaluation.results.provenance import Checkpoint
from tests.evaluation.made_up import clean, record, rotation, three_seeds

STUDY = Study(
    question="Is good better?",
    arms={"good": "mnist:cnn", "bad": "mnist:capsnet"},
    contrasts=(Contrast("good", "bad"),),
    suites=("clean",),
    seeds=(0, 1, 2),
    minutes={"good": 1.0, "bad": 1.0},
)
WHOLE = [*three_seeds("good", 0.9), *three_seeds("bad", 0.4)]


def judge(records, diverged=(), study=STUDY):
    evidence = find_evidence(study, records, diverged)
    (table,) = tabulate(evidence.records, evidence.stated)
    return table


def test_a_whole_study_is_judged():
    (verdict,) = judge(WHOLE).verdicts
    assert verdict.outcome is Outcome.BETTER
    assert find_evidence(STUDY, WHOLE).missing == {}


def test_nothing_is_judged_before_all_trainings_are_there():
    some = [each for each in WHOLE if each.provenance.run != "bad_seed1"]
    assert find_evidence(STUDY, some).missing == {"bad": [1]}
    table = judge(some)
    (verdict,) = table.verdicts
    assert verdict.outcome is Outcome.NONE
    # What there is to see so far is shown all the same.
    assert verdict.estimate.natural == pytest.approx(0.5, abs=0.01)
    assert verdicts.summarise(table) == (
        "good against bad: none of 1 comparisons has a verdict. 1 without a verdict, for trainings "
        "that are missing: there are 5 of 6 trainings."
    )
    (line,) = verdicts.lines(table)
    assert (line["verdict"], line["p (Holm)"]) == ("no verdict", "")
    assert line["difference (95 %)"].startswith("+49.8 points (")


def test_what_diverged_is_waited_for_no_longer():
    some = [each for each in WHOLE if each.provenance.run != "bad_seed1"]
    assert judge(some, {"bad_seed1"}).verdicts[0].outcome is Outcome.BETTER
    assert judge(some, {"bad_seed7"}).verdicts[0].outcome is Outcome.NONE


def test_what_was_not_stated_counts_nowhere():
    expected = judge(WHOLE).verdicts[0].estimate
    others = [
        *(record("good", clean(0.2), seed=seed) for seed in (3, 4, 5)),
        *three_seeds("better still", 0.99),
        *three_seeds("good", 0.1, checkpoint=Checkpoint("best")),
        *three_seeds("bad", 0.99, test_data="fashion_mnist"),
        *(record("bad", rotation((0.5, 1.0, 0.7)), seed=seed) for seed in range(3)),
    ]
    table = judge([*others, *WHOLE])
    assert table.models == ("good", "bad")
    assert table.verdicts[0].estimate == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "another training's"}, "records of bad, seed 0, are of several trainings"),
        ({"seed": 2, "experiment": {"steps": 7, "seed": 2}}, "differ in experiment.steps"),
        ({"seed": 2, "data": "others"}, "bad, seed 0, and of bad, seed 2, are of other test"),
    ],
)
def test_records_that_contradict_each_other_are_refused(change, message):
    first = record("bad", clean(0.4), seed=0, experiment={"steps": 9, "seed": 0})
    other = dataclasses.replace(first, provenance=dataclasses.replace(first.provenance, **change))
    with pytest.raises(UserError, match=message):
        find_evidence(STUDY, [first, other])


def test_arms_of_a_contrast_have_the_same_images():
    elsewhere = three_seeds("bad", 0.4, data="others")
    with pytest.raises(UserError, match="good, seed 0, and of bad, seed 0, are of other test"):
        find_evidence(STUDY, [*three_seeds("good", 0.9), *elsewhere])
    # Where nothing compares them, each may have its own.
    alone = dataclasses.replace(STUDY, contrasts=())
    assert len(find_evidence(alone, [*three_seeds("good", 0.9), *elsewhere]).records) == 6


def test_a_field_that_came_later_is_no_difference():
    before = record("bad", clean(0.4), seed=0, experiment={"model": {"width": 3}, "seed": 0})
    later = {"model": {"width": 3, "depth": 1}, "seed": 1, "ema_decay": 0.0}
    after = record("bad", clean(0.4), seed=1, experiment=later)
    assert len(find_evidence(STUDY, [before, after]).records) == 2
