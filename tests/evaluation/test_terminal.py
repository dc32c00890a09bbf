"""What a terminal shows: few rows, in lines that fit."""

import dataclasses

import pytest

from evaluation.comparison.tables import Stated, tabulate
from evaluation.metrics.classification import BALANCED_ACCURACY
from evaluation.reports import terminal
from tests.evaluation.made_up import clean, number, record, rotation

SUITES = [f"suite_of_a_rather_long_name_{number}" for number in range(14)]


def some(models, suites=SUITES):
    """Models of long names that differ in the middle, measured by many suites."""
    records = []
    for k in range(models):
        name = f"mnist:a_network_{k}_with_a_long_name (steps=1000, batch_size=64)"
        for seed in range(2):
            records.append(record(name, clean(0.9 - 0.01 * k, seed), seed))
            records.append(record(name, rotation((0.5, 1.0, 0.4), seed), seed))
            for suite in suites:
                one = clean(0.5 + 0.02 * k, seed, condition="a condition")
                records.append(record(name, renamed(one, suite), seed))
    return records


def renamed(result, suite):
    return dataclasses.replace(result, suite=suite)


@pytest.mark.parametrize("models", [1, 2, 6, 12, 20])
def test_a_dozen_rows_of_a_hundred_characters(models):
    records = some(models)
    (table,) = tabulate(records, Stated(control=records[0].provenance.model))
    text = terminal.show(table, has_report=True)
    lines = text.splitlines()
    assert max(map(len, lines)) <= terminal.WIDTH
    body, (more,) = lines[lines.index("") + 1 : -1], lines[-1:]
    assert len(body) <= terminal.MAX_ROWS + 3  # with the header, its units, and what is left
    assert more.endswith("in the report")
    assert text == terminal.show(table, has_report=True)


def test_balanced_accuracy_comes_second():
    balanced = dataclasses.replace(clean(0.6), metric=BALANCED_ACCURACY)
    records = [record("net", rotation((0.5, 1.0, 0.4), 0)), record("net", [clean(0.9), balanced])]
    (table,) = tabulate(records)
    names = [(row.suite, row.metric.name) for row in terminal.headline_rows(table)]
    assert names == [
        ("clean", "accuracy"),
        ("clean", "balanced accuracy"),
        ("rotation", "accuracy"),
    ]


def test_clean_accuracy_comes_first_and_each_suite_has_one_row():
    (table,) = tabulate(some(2, SUITES[:3])[::-1], Stated())
    rows = terminal.headline_rows(table)
    assert rows[0].suite == "clean"
    assert sorted(row.suite for row in rows) == sorted(["clean", "rotation", *SUITES[:3]])


def test_what_is_left_is_told_without_a_report_too():
    extra = [clean(0.5), clean(0.4, condition="other")]
    (table,) = tabulate([record("a", extra), record("b", extra)], Stated())
    assert terminal.show(table, has_report=False).endswith(
        "1 more row with --out=FOLDER, in a report"
    )


def test_numbers_without_a_better_side_are_not_shown():
    records = [record(m, [clean(0.5), number("clean", "size", 3.0, "px")]) for m in "ab"]
    (table,) = tabulate(records, Stated())
    assert "size" not in terminal.show(table, has_report=True)


def test_names_are_cut_and_stay_apart():
    assert terminal.names_in(["mnist:cnn", "mnist:capsnet"], 8) == ["cnn", "capsnet"]
    assert terminal.names_in(["cnn", "capsnet"], 8) == ["cnn", "capsnet"]
    cut = terminal.names_in([f"{'x' * 20}{k}{'y' * 20}" for k in range(12)], 12)
    assert len(set(cut)) == 12
    assert max(map(len, cut)) <= 12


def test_a_name_keeps_its_configuration_whatever_was_changed_of_it():
    (name,) = terminal.names_in(["cnn_mnist (dataset.train=train[:3000], validate_every=8)"], 30)
    assert name.startswith("cnn_mnist (")
