import numpy as np
import pytest
from matplotlib.lines import Line2D

from evaluation.comparison.tables import tabulate
from evaluation.reports import write_report
from evaluation.reports.figures.glance import draw_at_a_glance, rows_at_a_glance
from evaluation.reports.figures.shifts import (
    consistencies,
    draw_consistency,
    draw_shift_maps,
    shift_maps,
)
from evaluation.reports.figures.style import styles_of
from evaluation.reports.markdown import summarise_shifts
from evaluation.results.result import rate
from evaluation.results.shift_maps import shift_details
from evaluation.results.store import RecordStore
from tests.evaluation.made_up import SPLIT, clean, hits, record


def consistency(share):
    return rate("small_shifts", "consistency", hits(share), SPLIT, condition="realistic shifts")


def mapped(right, seed=0):
    details = {**shift_details("all images", right), **shift_details("image 1, a 7,", right > 0.5)}
    facts = {"condition": "all shifts", "details": {**details, "steps": 0.25}}
    return rate("shift_map", "accuracy", hits(0.5, seed), SPLIT, **facts)


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
    maps = shift_maps(row)
    np.testing.assert_allclose(maps["good"]["all images"], (RIGHT + RIGHT[::-1]) / 2)
    figure = draw_shift_maps(row)
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
    assert [(row.suite, row.metric) for row in rows] == [
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
    store = RecordStore(tmp_path)
    for each in RECORDS:
        store.write(each.facts, each.results)
    lines = summarise_shifts(tmp_path).splitlines()
    header = lines.index("**mnist, at the end of training**") + 2
    assert [cell.strip() for cell in lines[header].split("|")[1:-1]] == [
        "model",
        "accuracy",
        "consistency, realistic shifts",
    ]
    (lone,) = (line for line in lines if line.startswith("| `lone`"))
    assert lone.split("|")[3].strip() == "-"
