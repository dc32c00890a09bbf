"""The page of all configurations: `python -m configs > docs/configurations.md`.

Its text on a configuration is the docstring of that configuration's file.
"""

import re

from configs._catalogue import documentation, names

_OPENING = """\
# Configurations

Every experiment that `python train.py --config NAME` trains: where its settings come from, what to
expect of it and what it costs. A file in `configs/` is a configuration, and its docstring, which
`python train.py --config NAME --help` prints too, is its section here; `python -m configs` writes
the page. [Getting started](getting_started.md) says how to choose one and how to change its fields.
"""
# What has a paragraph of its own on the page, and a line in a docstring.
_LABELS = re.compile(r"\n+(Paper|Expected|Cost): ")
_PAGES = re.compile(r"\bdocs/(\S+\.md)")


def page() -> str:
    """A table of the configurations with a line for each, and a section for each, as Markdown."""
    sections = {name: _section(name) for name in names()}
    table = ["| configuration | experiment |", "|---|---|"]
    table += [
        f"| [`{name}`](#{name}) | {section.partition(chr(10))[0]} |"
        for name, section in sections.items()
    ]
    parts = [_OPENING, "\n".join(table) + "\n"]
    parts += [f"## `{name}`\n\n{section}\n" for name, section in sections.items()]
    return "\n".join(parts)


def _section(name: str) -> str:
    """A configuration's docstring as Markdown, with links where it names pages of docs/."""
    text = _LABELS.sub(r"\n\n**\1:** ", documentation(name))
    return _PAGES.sub(r"[\1](\1)", text)


if __name__ == "__main__":
    print(page(), end="")
