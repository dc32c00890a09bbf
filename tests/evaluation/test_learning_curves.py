import re

import pytest

from common.errors import UserError
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports.figures.curves import draw_curves
from evaluation.reports.figures.style import styles_of
from evaluation.reports.learning_curves import learning_curves, main
from tests.evaluation.made_up import clean, record, write

SHARES = {100: 0.5, 1000: 0.8, 55000: 0.95}


def run(network, count, share, seed=0, steps=1287, **known):
    """A run on so many images, as `--config few_examples` and `evaluate.py` would leave it."""
    experiment = {
        "model": {"type": network},
        "seed": seed,
        "steps": steps,
        "batch_size": min(count, 128),
        "dataset": {"name": "mnist", "train_images": 0 if count == 55000 else count},
    }
    name = "mnist:" if count == 55000 else "few_examples:"
    model = name + network + ("" if count == 55000 else f",{count}")
    known = {"experiment": experiment, "train_images": count, "run": f"{model}_{seed}", **known}
    return record(model, clean(share, seed), seed=seed, **known)


def runs(network="cnn", gain=0.0, seeds=(0, 1), counts=SHARES):
    return [run(network, count, SHARES[count] + gain, seed) for count in counts for seed in seeds]


def test_the_runs_of_a_network_and_seed_become_a_curve():
    curves = learning_curves([*runs()[::-1], *runs("capsnet", 0.02)])
    assert {(curve.provenance.model, curve.provenance.seed) for curve in curves} == {
        # The run on all images is part of the curve whatever its configuration is called.
        *((f"mnist:{network}", seed) for network in ("cnn", "capsnet") for seed in (0, 1))
    }
    for curve in curves:
        gain = 0.02 if "capsnet" in curve.provenance.model else 0.0
        assert [point.strength for point in curve.results] == [100.0, 1000.0, 55000.0]
        assert [point.value for point in curve.results] == pytest.approx(
            [share + gain for share in SHARES.values()]
        )


def test_curves_are_compared_and_have_intervals_over_seeds():
    (table,) = tabulate(learning_curves([*runs(), *runs("capsnet", 0.03)]), Stated())
    (row,) = table.rows
    assert row.is_curve
    headline = row.headlines["mnist:cnn"]
    assert headline.seeds == (0, 1)
    assert headline.value == pytest.approx(0.75)
    for point in headline.points:
        assert point.interval[0] < point.value < point.interval[1]
    (verdict,) = table.verdicts
    gaps = {"mnist:capsnet": 0.03, "mnist:cnn": -0.03}
    assert verdict.estimate.natural == pytest.approx(gaps[verdict.first], abs=0.005)


def test_the_figure_has_a_logarithmic_axis():
    (table,) = tabulate(learning_curves(runs()))
    assert draw_curves(table.rows[0], styles_of(table.models)).axes[0].get_xscale() == "log"


def test_only_common_numbers_are_compared_and_a_flag_says_so():
    curves = learning_curves([*runs(), *runs("capsnet", counts=(100, 1000))])
    for curve in curves:
        assert [point.strength for point in curve.results] == [100.0, 1000.0]
        for point in curve.results:
            assert point.flags == ("not all were trained on 55,000 images: left out",)
    assert {curve.provenance.model for curve in curves} == {
        "few_examples:cnn",
        "few_examples:capsnet",
    }


def test_trainings_that_differ_otherwise_are_no_curve():
    unlike = [run("cnn", 100, 0.5), run("cnn", 1000, 0.8, steps=20)]
    with pytest.raises(UserError, match="at least two numbers of training images"):
        learning_curves(unlike)
    # Nor is a network that was trained on one number; the others are not held to it.
    curves = learning_curves([*runs(), run("st_cnn", 300, 0.7)])
    assert {curve.provenance.model for curve in curves} == {"mnist:cnn"}
    assert len(curves[0].results) == 3


def test_records_of_unknown_numbers_and_other_suites_do_not_count():
    other = record("rotated", clean(0.5), suite="rotation", train_images=10)
    own = record("mymodule:create", clean(0.5), seed=None, experiment=None, train_images=None)
    old = record("older", clean(0.5))
    assert learning_curves([*runs(), other, own, old]) == learning_curves(runs())


def test_a_report_is_written_from_a_folder(tmp_path, capsys):
    write(tmp_path, [*runs(), *runs("capsnet", 0.02)])
    main(["learning_curves", str(tmp_path)])
    out = tmp_path / "learning_curves"
    printed = capsys.readouterr().out
    assert str(out / "report.html") in printed
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    table = {row[0]: row[1:] for row in cells if row}
    assert table["training images"] == ["`mnist:capsnet`", "`mnist:cnn`"]
    assert list(table)[-4:] == ["100", "1000", "55000", "mean"]
    assert re.fullmatch(r"50\.\d+ % \(\d\d\.\d+ to \d\d\.\d+\)", table["100"][1])
    assert table["mean"][0].startswith("77.")
    report = (out / "report.md").read_text()
    assert "few examples: accuracy, mean of 3 strengths" in report
    lines = [line.replace(" ", "") for line in report.splitlines()]
    # One row for each number of images, after the column that names the number.
    shown = [line.split("|")[1] for line in lines if line.count("|") == 4]
    assert shown[-len(SHARES) :] == ["100", "1000", "55000"]
    assert len(list((out / "figures").glob("*.svg"))) == 2  # the verdict, and the curve
    with pytest.raises(UserError, match="name one folder"):
        main(["learning_curves"])
