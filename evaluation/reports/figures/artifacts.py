"""Figures of artifacts, by the artifact's type.

A new kind of figure is a class below `evaluation.results.artifacts.Artifact`, and a function that
is registered with `figure_of`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from evaluation.comparison.tables import Row
from evaluation.reports.figures import object_statistics, predictions, shifts
from evaluation.reports.figures.style import Style
from evaluation.reports.formatting import name_condition, name_suite
from evaluation.results.artifacts import (
    Artifact,
    ConfusionMatrix,
    ObjectStatistics,
    ReliabilityDiagram,
    ShiftMap,
)

Styles = Mapping[str, Style]
OfModels = Mapping[str, Sequence[Any]]
"""The artifacts of one type, as means over seeds, by model."""


class Planned(NamedTuple):
    """A figure that is not drawn yet."""

    caption: str
    draw: Callable[[], Figure]


def figures_of(row: Row, styles: Styles) -> list[Planned]:
    """The figures of a row's artifacts, one for each type of them."""
    types: dict[type[Artifact], dict[str, list[Artifact]]] = {}
    for model, headline in row.headlines.items():
        for artifact in headline.artifacts:
            types.setdefault(type(artifact), {}).setdefault(model, []).append(artifact)
    planned = (
        figure_of(next(iter(of_models.values()))[0], of_models, row, styles)
        for of_models in types.values()
    )
    return [figure for figure in planned if figure is not None]


@functools.singledispatch
def figure_of(artifact: Artifact, of_models: OfModels, row: Row, styles: Styles) -> Planned | None:
    """The figure of a row's artifacts of one type; None of a type that has none.

    Args:
        artifact: One of them, whose type decides.
        of_models: All of them.
        row: Theirs.
        styles: Of at least the row's models.
    """
    return None


@figure_of.register
def _(artifact: ConfusionMatrix, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    counts = {model: found[0].counts for model, found in of_models.items()}
    caption = f"{name_condition(row)}: mistakes by label and prediction"
    return Planned(caption, lambda: predictions.draw_confusions(counts))


@figure_of.register
def _(artifact: ReliabilityDiagram, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    found = {model: each[0] for model, each in of_models.items()}
    caption = f"{name_condition(row)}: accuracy over confidence; equal on the dotted line"
    return Planned(caption, lambda: predictions.draw_reliability(found, styles))


@figure_of.register
def _(artifact: ShiftMap, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    maps = {
        model: {each.label: each.accuracy for each in found} for model, found in of_models.items()
    }
    caption = f"{name_condition(row)}: fuller colour for predictions that are wrong more often"
    return Planned(caption, lambda: shifts.draw_shift_maps(maps))


@figure_of.register
def _(artifact: ObjectStatistics, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    of_splits = next(iter(of_models.values()))  # they are of no model
    caption = f"{name_suite(row.suite)}: objects of each class, mean and standard deviation"
    return Planned(caption, lambda: object_statistics.draw(of_splits))
