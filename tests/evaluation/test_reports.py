import html.parser
import re

import numpy as np
import pytest

from common.errors import UserError
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports import write_report
from evaluation.reports.__main__ import main
from evaluation.reports.figures.dots import draw_dots
from evaluation.reports.figures.style import styles_of
from evaluation.reports.formatting import (
    Format,
    cut,
    name_briefly,
    name_row,
    name_table,
    show_detail,
    show_p_value,
)
from evaluation.reports.html.elements import Html, element, join
from evaluation.reports.html.pictures import strip
from evaluation.reports.markdown import summarise_headlines
from evaluation.results.artifacts import ConfusionMatrix, Images, ReliabilityDiagram
from evaluation.results.provenance import Checkpoint
from evaluation.results.quantities import Detail
from evaluation.results.store import RecordStore
from tests.evaluation.made_up import (
    clean,
    number,
    record,
    rotation,
    three_seeds,
    with_flag,
    write,
)

MATCHED = Checkpoint.matched(0.99)
NASTY = 'a<b> & "c" | `d`'
PREDICTIONS = (
    ConfusionMatrix.of(np.array([0, 1, 1]), np.array([0, 0, 1]), 2),
    ReliabilityDiagram.of(np.linspace(0, 1, 200), np.ones(200, bool)),
)
SHOWN = Images(np.full((3, 4, 5, 1), 0.5), label="images <of> it")


class WellFormed(html.parser.HTMLParser):
    """Collects what a page consists of, and insists that every element is closed."""

    VOID = ("meta", "img", "wbr")

    def __init__(self):
        super().__init__()
        self.open, self.found, self.texts = [], [], []

    def handle_decl(self, decl):
        assert decl == "DOCTYPE html"

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def read(page):
    parser = WellFormed()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def some_records():
    """Two models of three seeds, one that is far better; two of a nasty name; two checkpoints."""
    nasty = with_flag(clean(0.2), "a <flag> & more")
    return [
        *three_seeds("good", 0.95),
        *three_seeds("bad", 0.4),
        *(record(NASTY, nasty, seed=seed, parameters=None, step=None) for seed in (0, 1)),
        *(
            record(model, rotation(shares, chance=0.1), seed=seed)
            for model, shares in (("good", (0.5, 1.0, 0.6)), ("bad", (0.4, 1.0, 0.1)))
            for seed in (0, 1)
        ),
        record(
            "good", [clean(0.7), clean(0.6, artifacts=PREDICTIONS, condition="sure")], 0, MATCHED
        ),
        record("good", number("pose", "median error", 1.234, "px", interval=(1.1, 1.3))),
        *(record("bad", number("tilt", "error", 1.0, "px", artifacts=(SHOWN,)), n) for n in (0, 1)),
    ]


EXAMPLES = {
    "mnist": {"rotation": {"90 degrees": np.zeros((2, 5, 4, 1)), "<0>": np.ones((2, 5, 4, 3))}}
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "first"
    write_report(some_records(), folder, examples=EXAMPLES, stated=Stated(control="bad"))
    return folder


@pytest.fixture(scope="module")
def page(report):
    return (report / "report.html").read_text()


def test_the_page_is_well_formed_and_whole(page):
    parser = read(page)
    headings = [text for text in parser.texts if text.startswith("mnist, at")]
    assert len(set(headings)) == 2  # the end of training, and matched accuracy
    anchors = {f"#{attributes['id']}" for _, attributes in parser.found if "id" in attributes}
    links = [attributes["href"] for attributes in parser.all("a")]
    assert links
    assert set(links) <= anchors
    assert len(anchors) == len([a for _, a in parser.found if "id" in a])  # none is there twice


def test_the_page_needs_no_network(page):
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<link", page)
    sources = [attributes["src"] for attributes in read(page).all("img")]
    assert all(source.startswith("data:image/") for source in sources)


def test_the_page_is_accessible(page):
    parser = read(page)
    assert all(attributes["alt"] for attributes in parser.all("img"))
    assert {attributes["scope"] for attributes in parser.all("th")} == {"row", "col"}
    assert len(parser.all("caption")) == len(parser.all("table")) > 0
    assert parser.all("html") == [{"lang": "en"}]
    assert {"name": "color-scheme", "content": "light dark"} in parser.all("meta")
    assert "prefers-color-scheme: dark" in page


def test_pictures_of_the_first_seed_are_shown_with_their_model(page):
    parser = read(page)
    assert [text for text in parser.texts if "images <of>" in text] == ["bad: images <of> it"]
    (shown,) = (each for each in parser.all("img") if "<of>" in each["alt"])
    assert shown["src"] == strip(SHOWN.images)
    assert shown["alt"] == "3 images, bad: images <of> it"


def test_names_and_flags_are_escaped(page):
    assert "<b>" not in page
    assert "<flag>" not in page
    parser = read(page)
    assert any(NASTY in text for text in parser.texts)
    assert "a <flag> & more" in parser.texts


def test_the_page_answers_before_anything_else(page):
    """The sentence, the pictures and the sample images come first; all else is folded."""
    answer, forest = (
        page.index('class="answer"'),
        page.index("All verdicts are shown: a model against"),
    )
    samples, folded = page.index("rotation: &lt;0&gt;"), page.index("<details")
    assert answer < forest < samples < folded
    assert page.index("<nav") > folded  # a phone shows the answer before the contents
    outside = re.sub(r"<details>.*</details>", "", page, flags=re.DOTALL)
    assert "<table" not in outside
    sentence = re.search(r'class="answer">(.*?)</p>', page, re.DOTALL)
    assert sentence
    assert "against bad in " in sentence[1]
    assert "better" in sentence[1]


def test_no_table_is_wider_than_a_phone(page):
    """Cells break anywhere, nothing has a width of its own, and wide tables become cards."""
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert not re.search(r"nowrap|overflow-x|min-width: [1-9]", style.replace("(min-width", "("))
    assert "overflow-wrap: anywhere" in style
    assert re.search(r"\.cards thead { display: none; }", style)
    assert re.search(r"@container .*\.several thead { display: none; }", style, re.DOTALL)
    for kind, table in re.findall(r'<div class="box (\w+)"><table>(.*?)</table>', page, re.DOTALL):
        columns = table.count('scope="col"')
        assert kind == ("few" if columns <= 3 else "several" if columns <= 8 else "cards")
        cells = re.findall(r"<td[^>]*>(.*?)</td>", table, re.DOTALL)
        # A card has no header, so that each cell has a label of its own.
        assert all(cell.startswith('<span class="label"') for cell in cells if cell)
    assert page.count("<table") == page.count('<div class="box ')


def test_sections_say_what_a_suite_measures_and_fold_what_is_not_compared(page):
    assert "<p>Accuracy on clean test images;" in page
    assert "Not compared: neither more nor less is better" in page
    outside, _, inside = page.partition("Not compared: neither more nor less is better")
    assert "median error" not in outside.partition("All headlines")[2].partition("<h3>")[0]
    assert "median error" in inside


def test_figures_lie_beside_the_page(report):
    names = sorted(path.name for path in (report / "figures").iterdir())
    assert [name for name in names if name.endswith(".svg")] == [
        name.replace(".png", ".svg") for name in names if name.endswith(".png")
    ]
    about = ["clean_accuracy", "rotation_accuracy", "mistakes", "confidence"]
    assert all(any(word in name for name in names) for word in about)
    markdown = (report / "report.md").read_text()
    pictures = re.findall(r"!\[.*\]\((.*)\)", markdown)
    assert len(pictures) == len(names) / 2
    assert all((report / picture).is_file() for picture in pictures)


def test_figures_follow_a_dark_page(report):
    for path in (report / "figures").glob("*.svg"):
        svg = path.read_text()
        (ink,) = set(re.findall(r'\[style\*="fill: (#\w+)"\] ', svg))
        assert f"fill: {ink}" in svg.replace(f'[style*="fill: {ink}"]', "")
        assert "prefers-color-scheme: dark" in svg


def test_markdown_tables_have_as_many_cells_in_every_row(report):
    for block in (report / "report.md").read_text().split("\n\n"):
        if block.startswith("|"):
            lines = [line.replace("\\|", "") for line in block.splitlines()]
            assert len({line.count("|") for line in lines}) == 1


def test_a_report_is_the_same_every_time(report, tmp_path):
    records = some_records()[:2]
    for name in "ab":
        write_report(records, tmp_path / name, examples={})
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_one_model_and_nothing_at_all_make_reports(tmp_path):
    write_report([record("lone", clean(0.9), seed=None)], tmp_path / "lone", examples={})
    page = (tmp_path / "lone" / "report.html").read_text()
    read(page)
    assert "90.0 %" in page
    assert 'class="answer"' not in page  # there is nothing to compare
    write_report([], tmp_path / "none", examples={})
    read((tmp_path / "none" / "report.html").read_text())


def test_a_report_is_made_of_records_alone(tmp_path, capsys):
    write(tmp_path / "first", some_records())
    store = RecordStore(tmp_path / "first")
    out = tmp_path / "again"
    main(["", str(tmp_path / "first"), "clean", "--out", str(out)])
    assert "| clean: accuracy" in capsys.readouterr().out
    write_report(store.read_all(), tmp_path / "now", examples={})
    assert (out / "report.md").read_text() == (tmp_path / "now" / "report.md").read_text()
    for arguments, said in (
        ([tmp_path / "nowhere"], "no records/"),
        ([tmp_path / "first", "clena"], "no results of clena"),
        ([tmp_path / "first", "--control=nobody"], "--control=nobody: is none of the models a<b>"),
    ):
        with pytest.raises(UserError, match=said):
            main(["", *map(str, arguments)])


def test_headlines_of_some_metrics(tmp_path):
    write(tmp_path, some_records())
    lines = summarise_headlines(tmp_path, metrics=("median error",)).splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| pose")] == [
        "pose: median error"
    ]
    assert not any(line.startswith(("| clean", "| rotation", "| tilt")) for line in lines)


def test_headlines_for_a_readme(tmp_path):
    records = three_seeds("good", 0.95) + three_seeds("bad", 0.4)
    write(tmp_path, [*records, record("good", clean(0.5), checkpoint=MATCHED)])
    lines = summarise_headlines(tmp_path).splitlines()
    assert lines[0] == "**mnist, at the end of training**"
    assert lines[2].startswith("| condition ")
    condition, bad, good = (cell.strip() for cell in lines[4].strip("|").split("|"))
    assert condition == "clean: accuracy"
    assert re.fullmatch(r"40\.5 % \(3\d\.\d to 4\d\.\d\)", bad)
    assert re.fullmatch(r"95\.5 % \(9\d\.\d to 9\d\.\d\)", good)
    assert lines[6] == f"**mnist, {MATCHED.title}**"


def test_flags_are_explained_below_a_markdown_table(report):
    text = (report / "report.md").read_text()
    assert "flags: a \\<flag\\> & more." in text
    assert re.search(r"\| 20\.0 % \(1\d\.\d to 2\d\.\d\) ! ", text)


def test_markdown_has_the_sentence_then_pictures_then_verdicts_then_headlines(report):
    text = (report / "report.md").read_text()
    places = [
        text.index(each)
        for each in (
            " against bad in ",
            "_verdicts.png",
            "| contrast ",
            "| condition ",
            "### Clean",
        )
        if each != "### Clean"
    ]
    assert places == sorted(places)
    assert text.index("## How to read this") > text.index("### Facts")


def test_single_trainings_have_no_verdict_and_it_is_said_why(tmp_path):
    write_report([record("a", clean(0.9)), record("b", clean(0.1))], tmp_path, examples={})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a against b: none of 1 comparisons has a verdict" in page
    assert "Trained once, and so without a verdict: a; b." in page
    assert "--seeds" in page


def row_of(*records):
    return tabulate(records)[0].rows[0]


def test_numbers_have_the_digits_that_their_intervals_bear():
    share = Format(row_of(record("a", clean(0.5))))
    assert share.number(0.51234) == "51.2 %"  # of 200 images, half a width of 7 points
    assert share.interval((0.4, 0.6)) == "40.0 to 60.0"
    pixels = Format(row_of(record("a", number("pose", "error", 12.0, "px", interval=(8, 31)))))
    assert pixels.number(12.345) == "12 px"
    exact = Format(row_of(record("a", number("cost", "parameters", 8215568.0, ""))))
    assert [exact.number(value) for value in (8215568.0, 1.41026, 512.25, 1e-17)] == [
        "8,215,568",
        "1.41",
        "512",
        "0",
    ]
    assert exact.interval((2.0, 2.0)) == ""
    assert exact.interval(None) == ""


def test_rows_and_tables_are_named():
    curve = record("a", rotation((0.5, 1.0, 0.5)))
    assert name_row(row_of(curve)) == "rotation: accuracy, mean of 2 strengths"
    chosen = record("a", rotation((0.5, 1.0, 0.5), headline=90.0))
    assert name_row(row_of(chosen)) == "rotation: accuracy at 90 degrees"
    other = record("b", rotation((0.5, 1.0, 0.5), definition={"step": 90.0}))
    names = [name_row(row) for row in tabulate([curve, other])[0].rows]
    assert names == [
        "rotation: accuracy, mean of 2 strengths",
        "rotation: accuracy, mean of 2 strengths (step: 90.0)",
    ]
    (table,) = tabulate([record("a", clean(0.5), limit=1000)])
    assert name_table(table) == "mnist, at the end of training, 1,000 images"


def test_rows_of_one_condition_are_told_apart_by_their_definitions_in_figures():
    (table,) = tabulate(
        [
            record(model, number("calibration", "error", 0.1, "", definition={"of": model}))
            for model in ("lengths", "softmax")
        ]
    )
    (axes,) = draw_dots(table.rows, styles_of(table.models)).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["of: lengths", "of: softmax"]


def test_p_values():
    assert [show_p_value(p) for p in (1e-9, 0.01234, 0.345)] == ["< 0.0001", "0.0123", "0.34"]


def test_names_are_short_in_lists():
    assert name_briefly(row_of(record("a", rotation((0.5, 1.0, 0.5))))) == "rotation"
    pose = row_of(record("a", number("pose", "median error", 1.0, "px")))
    assert name_briefly(pose) == "pose: median error"
    assert [cut("abcdefghij", width) for width in (10, 5)] == ["abcdefghij", "ab…ij"]


def test_details_have_units_of_their_own():
    row = row_of(record("a", clean(0.5)))
    shown = [Detail(0.123), Detail(0.00123456, "rate"), Detail(2.0, "px"), Detail(1234.5, "")]
    assert [show_detail(row, each) for each in shown] == ["12.3 %", "0.1 %", "2 px", "1.23e+03"]
    pixels = row_of(record("a", number("pose", "error", 1.0, "px")))
    assert show_detail(pixels, Detail(0.00123456)) == "0.123 %"


def test_elements_escape_text_and_not_elements():
    cell = element("td", "a<b", element("sup", "1"), class_="x", aria_label='"')
    assert cell == '<td class="x" aria-label="&quot;">a&lt;b<sup>1</sup></td>'
    assert element("img", alt="") == '<img alt="">'
    assert join([Html("<i></i>"), "<"], " & ") == "<i></i> &amp; &lt;"


def test_models_are_told_apart_without_colour():
    styles = styles_of([str(k) for k in range(40)])
    assert len({(style.marker, str(style.line)) for style in styles.values()}) >= 24


def test_a_strip_shows_images_of_any_channels():
    import base64
    import io

    from PIL import Image

    images = np.zeros((2, 5, 4, 2))
    images[1, 2, 3, 1] = 1.0
    kind, _, content = strip(images).partition(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert shown.shape == (10, 10)  # channels below each other, a gap of two between images
    assert shown[5 + 2, 6 + 3] == 255
    assert np.sum(shown == 255) == 1
