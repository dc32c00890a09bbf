import numpy as np
import pytest
from matplotlib.lines import Line2D

from evaluation.comparison.tables import tabulate
from evaluation.metrics.classification import ACCURACY
from evaluation.reports import write_report
from evaluation.reports.figures.artifacts import figures_of
from evaluation.reports.figures.glance import draw_at_a_glance, rows_at_a_glance
from evaluation.reports.figures.shifts import consistencies, draw_consistency
from evaluation.reports.figures.style import styles_of
from evaluation.reports.markdown import summarise_shifts
from evaluation.results.artifacts import ShiftMap
from evaluation.results.quantities import Metric, shares
from evaluation.results.result import rate
from tests.evaluation.made_up import SPLIT, clean, hits, record, write

CONSISTENCY = Metric("consistency", higher_is_better=True)


def consistency(share):
    return rate("small_shifts", CONSISTENCY, hits(share), SPLIT, condition="realistic shifts")


def mapped(right, seed=0):
    maps = (ShiftMap(right, label="all images"), ShiftMap(right > 0.5, label="image 1, a 7"))
    return rate(
        "shift_map",
        ACCURACY,
        hits(0.5, seed),
        SPLIT,
        condition="all shifts",
        details=shares(steps=0.25),
        artifacts=maps,
    )


RIGHT = np.arange(9.0).reshape(3, 3) / 8
RECORDS = [
    record("good", clean(0.9)),
    record("good", consistency(0.8)),
    record("bad", clean(0.6)),
    record("bad", consistency(0.95)),
    record("lone", clean(0.5)),
    record("good", mapped(RIGHT)),
    record("good", mapped(RIGHT[::-1], seed=1), seed=1),
    record("bad", mapped(np.ones((3, 3)))),
]


@pytest.fixture(scope="module")
def table():
    return tabulate(RECORDS)[0]


def test_maps_are_means_over_seeds(table):
    row = next(row for row in table.rows if row.suite == "shift_map")
    found = row.headlines["good"].artifacts
    assert [each.label for each in found] == ["all images", "image 1, a 7"]
    np.testing.assert_allclose(found[0].accuracy, (RIGHT + RIGHT[::-1]) / 2)
    (planned,) = figures_of([row], styles_of(table.models))
    figure = planned.draw()
    colours = [np.asarray(axis.images[0].get_array()) for axis in figure.axes]
    assert len(colours) == 2 * 2
    np.testing.assert_allclose(colours[0][..., 3], 1 - (RIGHT + RIGHT[::-1]) / 2)
    np.testing.assert_array_equal(colours[2][..., 3], 0)


def test_accuracy_is_drawn_against_consistency(table):
    ((row, accuracy),) = consistencies(table.rows)
    axes = draw_consistency(row, accuracy, styles_of(table.models)).axes[0]
    handles, labels = axes.get_legend_handles_labels()
    places = {}
    for label, handle in zip(labels, handles, strict=True):
        (mark, *_) = handle.get_children()
        assert isinstance(mark, Line2D)
        places[label] = np.asarray(mark.get_xydata()).tolist()
    # The model whose consistency is not known has no place.
    assert places == {"good": [[80.0, 90.0]], "bad": [[95.0, pytest.approx(60.0)]]}
    assert consistencies(tabulate(RECORDS[:2])[0].rows) == []


def test_the_report_has_the_pictures_and_no_column_for_each_shift(tmp_path):
    write_report(RECORDS, tmp_path, examples={})
    names = [path.name for path in (tmp_path / "figures").glob("*.svg")]
    assert any("against_consistency" in name for name in names)
    assert any("fuller_colour" in name for name in names)
    page = (tmp_path / "report.html").read_text()
    assert "shifted by" not in page
    assert ">steps<" in page
    assert any("at_a_glance" in name for name in names)
    assert "At a glance" in page


def test_few_numbers_of_each_model_at_a_glance(table, tmp_path):
    rows = rows_at_a_glance(table.rows)
    assert [(row.suite, row.metric.name) for row in rows] == [
        ("clean", "accuracy"),
        ("small_shifts", "consistency"),
    ]
    assert rows_at_a_glance([row for row in table.rows if row.suite != "small_shifts"]) == []
    panels = draw_at_a_glance(rows, styles_of(table.models)).axes
    models = [label.get_text() for label in panels[0].get_yticklabels()]
    places = [
        {models[int(y)]: x for (line, *_) in panel.containers for x, y in line.get_xydata()}
        for panel in panels
    ]
    assert places[0] == {"good": 90.0, "bad": pytest.approx(60.0), "lone": 50.0}
    assert places[1] == {"good": 80.0, "bad": 95.0}
    write(tmp_path, RECORDS)
    lines = summarise_shifts(tmp_path).splitlines()
    header = lines.index("**mnist, at the end of training**") + 2
    assert [cell.strip() for cell in lines[header].split("|")[1:-1]] == [
        "model",
        "accuracy",
        "consistency, realistic shifts",
    ]
    (lone,) = (line for line in lines if line.startswith("| `lone`"))
    assert lone.split("|")[3].strip() == "-"
