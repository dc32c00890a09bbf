"""HTML that is well formed and escaped by construction."""

import html
from collections.abc import Sequence

_VOID = {"img", "meta"}
# Columns of a table that a phone has room for, and those that a desk's screen has.
_FEW_COLUMNS = 3
_MAX_COLUMNS = 8


class Html(str):
    """Text that is HTML already; any other text is escaped where it enters an element."""


def element(tag: str, *children: str, **attributes: str) -> Html:
    """An element.

    Args:
        tag: Such as "td".
        children: Text, escaped unless it is `Html`.
        attributes: Their names; `class_` is class, `aria_label` is aria-label.
    """
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    opening = f"<{tag}{''.join(pairs)}>"
    return Html(opening if tag in _VOID else f"{opening}{join(children)}</{tag}>")


def join(parts: Sequence[str], between: str = "") -> Html:
    """Parts one after another, escaped unless they are `Html`."""
    escaped = [part if isinstance(part, Html) else html.escape(part) for part in parts]
    return Html(html.escape(between).join(escaped))


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """A table that is never wider than the page: where there is no room, its rows become cards.

    Args:
        caption: What the table is of.
        header: Of each column. Each cell has its own too, which only cards show.
        rows: Cells; the first of a row is its header.
    """
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    labels = header[1:]
    body = [
        element("tr", element("th", first, scope="row"), *map(_cell, cells, labels))
        for first, *cells in rows
    ]
    content = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    return element("div", content, class_=f"box {_width(len(header))}")


def _width(columns: int) -> str:
    """The class of a table: how much room it needs before its rows are cards."""
    if columns > _MAX_COLUMNS:
        return "cards"
    return "few" if columns <= _FEW_COLUMNS else "several"


def folded(title: str, *parts: str) -> Html:
    """Parts that are shown on demand."""
    return element("details", element("summary", title), *parts)


def _cell(content: str, label: str) -> Html:
    """A cell of its own making, or one around the content, with its label in front."""
    shown = element("span", label, class_="label", aria_hidden="true") if content else Html()
    if isinstance(content, Html) and content.startswith("<td"):
        opening, rest = content.split(">", 1)
        return Html(f"{opening}>{shown}{rest}")
    return element("td", shown, content) if content else element("td", class_="none")
