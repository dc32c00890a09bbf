"""Figures of artifacts, by the artifact's type.

A new kind of figure is a class below `evaluation.results.artifacts.Artifact`, and a function that
is registered with `figure_of`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from evaluation.comparison.rows import Row
from evaluation.reports.figures import capsules, object_statistics, predictions, shifts
from evaluation.reports.figures.style import Style
from evaluation.reports.formatting import name_condition, name_suite, sentence
from evaluation.results.artifacts import (
    Artifact,
    ConfusionMatrix,
    ObjectStatistics,
    ReliabilityDiagram,
    ShiftMap,
)
from evaluation.results.pictures import CouplingMaps, PoseSweep, Reconstructions, WinningPaths

Styles = Mapping[str, Style]
OfModels = Mapping[str, Sequence[Any]]
"""The artifacts of one type, as means over seeds, by model."""


class Planned(NamedTuple):
    """A figure that is not drawn yet.

    Attributes:
        caption: Full sentences.
        draw: Draws it.
        suite: It is about; empty of the table as a whole.
        is_compared: False of a quantity that has no better side.
        name: Of its files; empty for one that is made of the caption.
    """

    caption: str
    draw: Callable[[], Figure]
    suite: str = ""
    is_compared: bool = True
    name: str = ""


def figures_of(rows: Sequence[Row], styles: Styles) -> list[Planned]:
    """The figures of artifacts, one for each type of them; alike rows share it.

    Args:
        rows: Of a table. Those of one suite, condition and metric are alike, for models whose
            definitions differ, such as that of their confidence, are best seen beside each other.
        styles: Of the table's models.
    """
    alike: dict[tuple, list[Row]] = {}
    for row in rows:
        alike.setdefault((row.suite, row.place, row.metric.name), []).append(row)
    groups = [group for found in alike.values() for group in _without_repeats(found)]
    return [figure for group in groups for figure in _of_alike(group, styles)]


def _without_repeats(rows: Sequence[Row]) -> list[list[Row]]:
    """All rows together, or each alone if a model is in several."""
    models = [model for row in rows for model in row.headlines]
    return [list(rows)] if len(set(models)) == len(models) else [[row] for row in rows]


def _of_alike(rows: Sequence[Row], styles: Styles) -> list[Planned]:
    types: dict[type[Artifact], dict[str, list[Artifact]]] = {}
    for row in rows:
        for model, headline in row.headlines.items():
            for artifact in headline.artifacts:
                types.setdefault(type(artifact), {}).setdefault(model, []).append(artifact)
    planned = (
        figure_of(next(iter(of_models.values()))[0], of_models, rows[0], styles)
        for of_models in types.values()
    )
    return [figure._replace(suite=rows[0].suite) for figure in planned if figure is not None]


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
    caption = f"{_title(row)}: mistakes are shown by label and prediction, one panel a model."
    stored = row.definition.get("class names")  # perhaps a stranger's
    names = stored if isinstance(stored, list) else ()
    return Planned(caption, lambda: predictions.draw_confusions(counts, names))


@figure_of.register
def _(artifact: ReliabilityDiagram, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    found = {model: each[0] for model, each in of_models.items()}
    caption = (
        f"{_title(row)}: accuracy is shown over confidence, all models on one axis. A calibrated "
        "model lies on the dotted line."
    )
    return Planned(caption, lambda: predictions.draw_reliability(found, styles))


@figure_of.register
def _(artifact: ShiftMap, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    maps = {
        model: {each.label: each.accuracy for each in found} for model, found in of_models.items()
    }
    caption = f"{_title(row)}: at every shift, a fuller colour stands for more wrong predictions."
    return Planned(caption, lambda: shifts.draw_shift_maps(maps))


@figure_of.register
def _(artifact: ObjectStatistics, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    of_splits = next(iter(of_models.values()))  # they are of no model
    title = sentence(name_suite(row.suite))
    caption = f"{title}: objects of each class are shown by their means and standard deviations."
    return Planned(caption, lambda: object_statistics.draw(of_splits))


@figure_of.register
def _(artifact: Reconstructions, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    found = {model: each[0] for model, each in of_models.items()}
    caption = (
        "Reconstructions: the first images are shown above what each model reconstructs of the "
        "class that it predicts."
    )
    return Planned(caption, lambda: capsules.draw_reconstructions(found), name="reconstructions")


@figure_of.register
def _(artifact: PoseSweep, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    found = {model: each[0] for model, each in of_models.items()}
    caption = (
        "Pose components: in each row one component of the class capsule that wins is moved, by "
        "what stands below. The middle column is the reconstruction itself."
    )
    return Planned(caption, lambda: capsules.draw_sweeps(found), name="pose components")


@figure_of.register
def _(artifact: CouplingMaps, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    found = {model: each[0] for model, each in of_models.items()}
    measured = ", ".join(f"{100.0 * row.headlines[model].value:.1f} % ({model})" for model in found)
    caption = (
        "Coupling maps: the mean coupling of the capsules at each place to the class that wins and "
        "to the runner-up, over the image. A square lies in the middle of what its capsules see, "
        "and the line across the scale is at equal couplings. "
        "Couplings of a softmax over output capsules are near-uniform where routing does little: "
        f"their entropy, of its maximum, is {measured}."
    )
    return Planned(caption, lambda: capsules.draw_coupling_maps(found), name="coupling maps")


@figure_of.register
def _(artifact: WinningPaths, of_models: OfModels, row: Row, styles: Styles) -> Planned:
    caption = (
        "Winning paths: from the class capsule that wins down, each row shows the shares of one "
        "layer's places in it, brighter for more and each panel by itself. A ring marks the "
        "capsule that the ringed one above it, or the class capsule, received most of."
    )
    return Planned(caption, lambda: capsules.draw_paths(of_models), name="winning paths")


def _title(row: Row) -> str:
    return sentence(name_condition(row))
