"""Reports of evaluations: Markdown, figures, and one HTML page to hand around."""

import pathlib
from collections.abc import Sequence

from common.files import write_text
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports import markdown
from evaluation.reports.figures.figures import draw_table
from evaluation.reports.figures.style import styles_of
from evaluation.reports.html.page import Examples, make_page
from evaluation.results.result import Record


def write_report(
    records: Sequence[Record],
    folder: pathlib.Path,
    *,
    examples: Examples,
    stated: Stated | None = None,
    title: str = "Comparison of models",
) -> None:
    """Writes all that there is to see of records.

    Args:
        records: Of any models, data, suites and checkpoints, as many as there are.
        folder: Gets `report.md`, `report.html` and `figures/` with a PNG and an SVG of each figure.
        examples: What the suites do to some images, by dataset, suite and label; may be empty.
        stated: What is compared; None for a control against which the other of two models is.
        title: Of the HTML page; a study's is its question.
    """
    tables = tabulate(records, stated or Stated())
    styles = styles_of(list(dict.fromkeys(model for table in tables for model in table.models)))
    drawings = [draw_table(table, styles, folder / "figures") for table in tables]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "report.md", markdown.report(tables, drawings))
    write_text(folder / "report.html", make_page(title, tables, drawings, styles, examples))
