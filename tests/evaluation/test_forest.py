"""Figures that compare: forest plots, differences along curves, and a dot for each training."""

import numpy as np
import pytest

from evaluation.comparison.contrasts import Outcome
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports.figures import curves, forest, trainings
from evaluation.reports.figures.artifacts import figures_of
from evaluation.reports.figures.differences import differences
from evaluation.reports.figures.dots import draw_dots
from evaluation.reports.figures.figures import TABLE, VERDICTS, draw_table
from evaluation.reports.figures.style import styles_of
from evaluation.reports.verdicts import by_clarity, pairs_of, summarise
from evaluation.results.artifacts import ReliabilityDiagram
from tests.evaluation.made_up import clean, number, record, rotation, three_seeds


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def many(models, conditions):
    """Three trainings of each model under many conditions; later models are better."""
    return [
        record(
            f"model {k}",
            [
                clean(0.5 + 0.05 * k + 0.005 * seed, seed, condition=f"condition {c}")
                for c in range(conditions)
            ],
            seed=seed,
        )
        for k in range(models)
        for seed in range(3)
    ]


def test_a_forest_plot_has_all_verdicts():
    (table,) = tabulate(many(3, 4), Stated(control="model 0"))
    (axes,) = forest.draw_forest(forest.choose(table.verdicts)).axes
    shown = labels(axes)
    assert len(shown) == len(table.verdicts) + len(pairs_of(table.verdicts)) == 8 + 2
    assert shown[0] == "model 1 against model 0"
    assert shown.count("clean, condition 3") == 2
    assert axes.get_xscale() == "log"
    colours = {line.get_color() for line in axes.lines if line.get_marker() == ">"}
    assert len(colours) == 1  # whatever is better has one colour and marker


def test_many_verdicts_are_the_clearest_first_and_all_in_other_figures(tmp_path):
    (table,) = tabulate(many(3, 30), Stated(control="model 0"))
    chosen = forest.choose(table.verdicts)
    assert len(chosen) == forest.MAX_LINES
    assert set(map(id, chosen)) <= set(map(id, table.verdicts))
    drawings = draw_table(table, styles_of(table.models), tmp_path)
    assert [each.suite for each in drawings[:3]] == [TABLE, VERDICTS, VERDICTS]
    assert drawings[0].caption.startswith("The clearest 40 of 60 verdicts are shown")


def test_the_right_side_is_the_better_one():
    records = [
        record(model, number("pose", "error", value + 0.01 * seed, "px", interval=(1, 2)), seed)
        for model, value in (("small", 1.0), ("large", 3.0))
        for seed in range(3)
    ]
    for each in records:
        metric = each.results[0].metric
        object.__setattr__(metric, "higher_is_better", False)
    (table,) = tabulate(records, Stated())
    (verdict,) = table.verdicts
    assert verdict.estimate.difference < 0.0
    value, low, high = forest._ends(verdict)
    assert low < value < high
    assert value == pytest.approx(2.0)
    assert "px" in forest.draw_forest([verdict]).axes[0].get_xlabel()


def test_differences_are_drawn_below_a_curve():
    records = [
        record(model, rotation((low + 0.01 * seed, 1.0, 0.3), seed), seed)
        for model, low in (("first", 0.8), ("second", 0.4))
        for seed in range(3)
    ]
    (table,) = tabulate(records, Stated())
    (row,) = table.rows
    (found,) = differences(row, table)
    assert (found.first, found.second) == ("first", "second")
    np.testing.assert_allclose(found.values, (0.4, 0.0, 0.0), atol=0.01)
    assert (found.intervals[:, 0] <= found.values).all()
    assert (found.values <= found.intervals[:, 1]).all()
    top, bottom = curves.draw_curves(row, styles_of(table.models), [found]).axes
    assert bottom.get_ylabel() == "Minus second, points"
    np.testing.assert_allclose(bottom.lines[0].get_ydata(), 100 * found.values)
    assert not top.collections  # no bands, and no whiskers where differences have them
    (alone,) = tabulate(records, None)
    assert differences(alone.rows[0], alone) == []
    assert len(curves.draw_curves(alone.rows[0], styles_of(alone.models)).axes) == 1


def test_differences_of_single_trainings_have_no_interval():
    records = [record("first", rotation((0.8, 1.0, 0.3))), record("second", rotation((0.5, 1, 0)))]
    (table,) = tabulate(records, Stated())
    (found,) = differences(table.rows[0], table)
    assert found.intervals is None
    np.testing.assert_allclose(found.values, (0.3, 0.0, 0.3))


def test_every_training_is_a_dot_and_failed_ones_too():
    records = [
        record(model, results, seed)
        for model, share in (("first", 0.9), ("second", 0.8))
        for seed in range(3)
        for results in (
            clean(share if (model, seed) != ("second", 2) else 0.1, chance=0.1),
            rotation((share - 0.2, 1.0, share - 0.4)),
        )
    ]
    (table,) = tabulate(records, Stated())
    assert [(each.model, each.seed) for each in table.failures] == [("second", 2)]
    found = trainings.trainings(table)
    assert [(each.model, each.seed, each.failed) for each in found] == [
        ("first", 0, False),
        ("first", 1, False),
        ("first", 2, False),
        ("second", 0, False),
        ("second", 1, False),
        ("second", 2, True),
    ]
    assert found[0].distorted == pytest.approx(0.6)
    assert found[-1].clean == pytest.approx(0.1)
    (axes,) = trainings.draw_trainings(found, styles_of(table.models)).axes
    assert sum(len(line.get_xdata()) for line in axes.lines) == 6
    (without,) = tabulate(three_seeds("first", 0.9), None)
    assert trainings.trainings(without) == []  # nothing was distorted


def test_seeds_are_dots_of_their_own():
    (table,) = tabulate(three_seeds("a", 0.9) + three_seeds("b", 0.5))
    (axes,) = draw_dots(table.rows, styles_of(table.models)).axes
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [3, 3]


def test_reliability_diagrams_share_an_axis():
    confidence = np.linspace(0, 1, 200)
    records = [
        record(
            model,
            number(
                "calibration",
                "error",
                0.1,
                "",
                definition={"confidence": model},
                artifacts=(ReliabilityDiagram.of(confidence, np.ones(200, bool)),),
            ),
        )
        for model in ("lengths", "softmax")
    ]
    (table,) = tabulate(records)
    (planned,) = figures_of(table.rows, styles_of(table.models))
    (axes,) = planned.draw().axes
    assert {line.get_label() for line in axes.lines} >= {"lengths", "softmax"}


def test_a_paragraph_is_short_and_counts_every_verdict():
    (table,) = tabulate(many(6, 10), Stated(control="model 0"))
    text = summarise(table)
    assert text.startswith("5 models against model 0 in 50 comparisons: ")
    counts = dict.fromkeys(Outcome, 0)
    for verdict in table.verdicts:
        counts[verdict.outcome] += 1
    assert f"{counts[Outcome.BETTER]} better" in text
    assert len(text) < 700
    (pair,) = tabulate(many(2, 10), Stated())
    assert summarise(pair).startswith("model 0 against model 1 in 10 comparisons: ")
    assert summarise(tabulate(many(3, 1), Stated())[0]).startswith("No contrast of these")


def test_the_clearest_verdicts_are_decided_ones():
    (table,) = tabulate(many(4, 3), Stated(control="model 0"))
    found = by_clarity(table.verdicts)
    undecided = [each.outcome is Outcome.UNDECIDED for each in found]
    assert undecided == sorted(undecided)
    decided = [each.adjusted for each in found if each.outcome is not Outcome.UNDECIDED]
    assert decided == sorted(decided)


def test_failed_and_single_trainings_are_named_in_the_paragraph():
    single = [
        record("once", clean(0.5)),
        *three_seeds("thrice", 0.9),
        record("thrice", clean(0), 7),
    ]
    (table,) = tabulate(single, Stated())
    text = summarise(table)
    assert "Trained once, and so without a verdict: once." in text
    assert "thrice, seed 7 (0.00 %" in text
    (alone,) = tabulate(single[1:], Stated())
    assert summarise(alone).startswith("Failed and reported apart")
