"""HTML that is well formed and escaped by construction."""

import html
from collections.abc import Sequence

_VOID = {"img", "meta"}


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
    """A table in a box that scrolls sideways where there is no room for it.

    Args:
        caption: What the table is of.
        header: Of each column.
        rows: Cells; the first of a row is its header.
    """
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [
        element("tr", element("th", first, scope="row"), *(_cell(cell) for cell in cells))
        for first, *cells in rows
    ]
    content = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head),
        element("tbody", *body),
    )
    return element("div", content, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _cell(content: str) -> Html:
    """A cell of its own making, or one around the content."""
    if isinstance(content, Html) and content.startswith("<td"):
        return content
    return element("td", content)
