"""One self-contained HTML page: no network, no script, light or dark as the reader's device is."""

import pathlib
import re
from collections.abc import Mapping, Sequence

from evaluation.comparison.tables import Table
from evaluation.reports.figures.figures import Drawing
from evaluation.reports.figures.style import Style
from evaluation.reports.formatting import name_suite, name_table
from evaluation.reports.html import sections
from evaluation.reports.html.answer import Suites, answer
from evaluation.reports.html.elements import Html, element, join
from evaluation.reports.methodology import GUIDE

_CSS = (pathlib.Path(__file__).parent / "page.css").read_text(encoding="utf-8")

Examples = Mapping[str, Suites]
"""Sample images by dataset, suite and label."""


def make_page(
    title: str,
    tables: Sequence[Table],
    drawings: Sequence[Sequence[Drawing]],
    styles: Mapping[str, Style],
    examples: Examples,
) -> str:
    """The report.

    Args:
        title: In words, without markup.
        tables: What to compare.
        drawings: The figures of each table.
        styles: The colours of all models.
        examples: May be empty.
    """
    chapters = [
        _chapter(table, figures, styles, examples.get(table.dataset, {}))
        for table, figures in zip(tables, drawings, strict=True)
    ]
    chapters += [_gallery(dataset, suites) for dataset, suites in examples.items() if suites]
    chapters.append(_guide())
    contents = element(
        "nav",
        element("h2", "Contents"),
        element("ul", *(entry for entry, _ in chapters)),
        aria_label="Contents",
    )
    main = element("main", element("h1", title), *(body for _, body in chapters))
    return _document(title, element("div", main, contents, class_="page"))


def _document(title: str, body: Html) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(_CSS)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', body), lang='en')}\n"


def _chapter(
    table: Table, drawings: Sequence[Drawing], styles: Mapping[str, Style], examples: Suites
) -> tuple[Html, Html]:
    """A table's entry in the contents, and its section: the answer, and the rest folded."""
    title = name_table(table)
    suites = list(dict.fromkeys(row.suite for row in table.rows))
    overview, _ = sections.by_direction(table.overview)
    parts = [("all headlines", sections.headlines(table, overview, styles))] if overview else []
    parts += [(name_suite(name), sections.suite(name, table, drawings, styles)) for name in suites]
    parts.append(("facts", sections.facts(table)))
    body = element(
        "section",
        element("h2", title),
        element("ul", *(element("li", flag) for flag in table.flags), class_="flags")
        if table.flags
        else "",
        answer(table, drawings, examples),
        *(_part(title, name, part) for name, part in parts),
        id=_anchor(title),
    )
    return _entry(title, [name for name, _ in parts]), body


def _gallery(dataset: str, suites: Suites) -> tuple[Html, Html]:
    """The contents' entry and the section of a dataset's sample images."""
    title = f"Sample images of {dataset}"
    parts = [
        _part(title, name_suite(name), sections.samples(each)) for name, each in suites.items()
    ]
    entry = _entry(title, [name_suite(name) for name in suites])
    return entry, element("section", element("h2", title), *parts, id=_anchor(title))


def _guide() -> tuple[Html, Html]:
    title = "How to read this"
    paragraphs = join([element("p", paragraph) for paragraph in GUIDE])
    method = _part(title, "methods", paragraphs)
    return _entry(title, ["methods"]), element(
        "section", element("h2", title), method, id=_anchor(title)
    )


def _part(title: str, name: str, content: Html) -> Html:
    """A part that is folded; a link to what lies inside of it opens it."""
    return element(
        "details",
        element("summary", element("h3", name)),
        element("section", content, id=_anchor(title, name)),
    )


def _entry(title: str, parts: Sequence[str]) -> Html:
    links = [element("li", element("a", part, href=f"#{_anchor(title, part)}")) for part in parts]
    link = element("a", title, href=f"#{_anchor(title)}")
    return element("li", join([link, element("ul", *links)]) if links else link)


def _anchor(*names: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(names).lower()).strip("-")
