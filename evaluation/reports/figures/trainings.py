"""A figure of every training: accuracy on distorted images against that on clean ones."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from evaluation import suites
from evaluation.comparison.rows import Row, make_rows
from evaluation.comparison.tables import Table
from evaluation.metrics.classification import ACCURACIES
from evaluation.reports.figures.style import INK, Style, canvas, grid, legend, legend_height

_KIND = "distortions"


class Training(NamedTuple):
    """A training's accuracies.

    Attributes:
        model: Its name.
        seed: None if not known.
        clean: On clean images, in [0, 1].
        distorted: The mean over suites of distortions, each the mean over its rows.
        failed: True of one that is reported apart.
    """

    model: str
    seed: int | None
    clean: float
    distorted: float
    failed: bool


def distortion_rows(table: Table) -> list[Row]:
    """The accuracies under distortions that all models of a table have."""
    return [
        row
        for row in table.rows
        if row.metric.name in ACCURACIES
        and suites.kind(row.suite) == _KIND
        and all(name in row.headlines for name in _models_with_rows(table))
    ]


def trainings(table: Table) -> list[Training]:
    """Every training whose accuracies are all known; those that failed last."""
    rows = distortion_rows(table)
    clean = _clean(table.rows)
    if clean is None or not rows:
        return []
    found = _of_rows(clean, rows, failed=False)
    failed = {(each.model, each.seed) for each in table.failures}
    needed = {"clean", *(row.suite for row in rows)}
    records = [
        record
        for record in table.records
        if (record.provenance.model, record.provenance.seed) in failed and record.suite in needed
    ]
    if records:
        places = {_place(row) for row in rows}
        others = make_rows(records, dict.fromkeys(table.models, 0))
        same = [row for row in others if _place(row) in places]
        others_clean = _clean(others)
        if others_clean is not None and len(same) == len(rows):
            found += _of_rows(others_clean, same, failed=True)
    return found


def draw_trainings(found: Sequence[Training], styles: Mapping[str, Style]) -> Figure:
    """A mark for each training, hollow for those that failed.

    Args:
        found: At least one.
        styles: Of their models.
    """
    models = list(dict.fromkeys(each.model for each in found))
    figure, axes = canvas(3.2 + legend_height(models))
    for model in models:
        style = styles[model]
        for failed in (False, True):
            own = [each for each in found if (each.model, each.failed) == (model, failed)]
            axes.plot(
                [100.0 * each.clean for each in own],
                [100.0 * each.distorted for each in own],
                color=style.colour,
                marker=style.marker,
                markerfacecolor="none" if failed else style.colour,
                linestyle="none",
                markersize=5,
                alpha=0.85,
                label=None if failed else model,
            )
    if any(each.failed for each in found):
        hollow = {"color": INK, "marker": "o", "markerfacecolor": "none", "linestyle": "none"}
        axes.plot([], [], label="failed", **hollow)
    axes.set(xlabel="Accuracy on clean images, %", ylabel="Accuracy on distorted images, %")
    grid(axes, "both")
    legend(figure, axes)
    return figure


def _models_with_rows(table: Table) -> set[str]:
    return {name for row in table.rows for name in row.headlines}


def _clean(rows: Sequence[Row]) -> Row | None:
    found = [row for row in rows if row.suite == "clean" and row.metric.name in ACCURACIES]
    return found[0] if found else None


def _place(row: Row) -> tuple[str, str, str]:
    return row.suite, row.place, str(row.definition)


def _of_rows(clean: Row, rows: Sequence[Row], *, failed: bool) -> list[Training]:
    return [
        Training(model, seed, value, float(np.mean(list(by_suite.values()))), failed)
        for model, headline in clean.headlines.items()
        for seed, value in zip(headline.seeds, headline.by_seed, strict=True)
        if (by_suite := _by_suite(rows, model, seed))
    ]


def _by_suite(rows: Sequence[Row], model: str, seed: int | None) -> dict[str, float]:
    """A training's mean over the rows of each suite; empty if one is not known."""
    found: dict[str, list[float]] = {}
    for row in rows:
        headline = row.headlines.get(model)
        if headline is None or seed not in headline.seeds:
            return {}
        found.setdefault(row.suite, []).append(headline.by_seed[headline.seeds.index(seed)])
    return {suite: float(np.mean(values)) for suite, values in found.items()}
