"""Markdown tables, and names in them, which no text can break out of."""

from collections.abc import Sequence

from common.errors import printable


def code(name: str) -> str:
    """A name as Markdown's code, in which nothing else has a meaning."""
    return f"`{printable(name).replace('`', '')}`"


def markdown_table(rows: Sequence[dict[str, str]]) -> str:
    """Rows with the same keys as an aligned Markdown table."""
    rows = [{_in_cell(key): _in_cell(value) for key, value in row.items()} for row in rows]
    columns = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}

    def line(cells):
        padded = (cells[name].ljust(widths[name]) for name in columns)
        return f"| {' | '.join(padded)} |"

    header = line({name: name for name in columns})
    rule = f"|{'|'.join('-' * (widths[name] + 2) for name in columns)}|"
    return "\n".join([header, rule, *(line(row) for row in rows)])


def _in_cell(text: str) -> str:
    return printable(text).replace("|", "\\|")
