"""The top of a comparison: what came out, in a sentence, in figures and in sample images."""

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.comparison.tables import Table
from evaluation.reports import verdicts
from evaluation.reports.figures.figures import TABLE, VERDICTS, Drawing
from evaluation.reports.formatting import name_suite
from evaluation.reports.html.elements import Html, element, folded, join, table
from evaluation.reports.html.sections import figures_of, samples

_MAX_SAMPLES = 6

Suites = Mapping[str, Mapping[str, np.ndarray]]
"""Sample images by suite and label: `[count, height, width, channels]`, in [0, 1]."""


def answer(content: Table, drawings: Sequence[Drawing], examples: Suites) -> Html:
    """A paragraph, the figures of the whole table, sample images; folded, all verdicts.

    Args:
        content: The table.
        drawings: Its figures.
        examples: Of its dataset; may be empty.
    """
    paragraph = verdicts.summarise(content)
    figures = [drawing for drawing in drawings if drawing.suite == TABLE]
    parts = [element("p", paragraph, class_="answer")] if paragraph else []
    parts += [figures_of(figures)] if figures else []
    parts += [samples(shown)] if (shown := _last_of_each(examples)) else []
    parts += [_all_verdicts(content, drawings)] if content.verdicts else []
    return join(parts)


def _last_of_each(examples: Suites) -> dict[str, np.ndarray]:
    """The last images of some suites, which are farthest from clean ones, by what they show."""
    shown = {}
    for suite, images in list(examples.items())[:_MAX_SAMPLES]:
        for label in list(images)[-1:]:
            shown[f"{name_suite(suite)}: {label}"] = images[label]
    return shown


def _all_verdicts(content: Table, drawings: Sequence[Drawing]) -> Html:
    figures = [drawing for drawing in drawings if drawing.suite == VERDICTS]
    found = list(verdicts.lines(content))
    cells = [list(line.values()) for line in found]
    listed = table("Verdicts", list(found[0]), cells)
    return folded("All verdicts", figures_of(figures) if figures else "", listed)
