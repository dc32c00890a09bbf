"""The sections of the HTML report."""

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation import suites
from evaluation.comparison.rows import Row
from evaluation.comparison.summary import Headline
from evaluation.comparison.tables import Table
from evaluation.reports.figures import glance
from evaluation.reports.figures.figures import Drawing
from evaluation.reports.figures.style import Style
from evaluation.reports.formatting import (
    Format,
    name_axis,
    name_row,
    name_seeds,
    name_strength,
    show_detail,
)
from evaluation.reports.html.elements import Html, element, folded, join, table
from evaluation.reports.html.pictures import data_uri, strip
from evaluation.results.artifacts import Images

_LARGER = 2  # times the size of sample images


def headlines(content: Table, rows: Sequence[Row], styles: Mapping[str, Style]) -> Html:
    """Some rows of a table for all models, with the flags that they refer to below."""
    flags: dict[str, int] = {}
    header = ["condition", *(_model(model, styles) for model in content.models)]
    cells = [
        [
            name_row(row),
            *(_headline(row, model, flags) for model in content.models),
        ]
        for row in rows
    ]
    return _with_flags(table("Headlines above their 95 % intervals", header, cells), flags)


def suite(
    name: str, content: Table, drawings: Sequence[Drawing], styles: Mapping[str, Style]
) -> Html:
    """All about one suite: its purpose, figures or else headlines; folded, its numbers."""
    rows = [row for row in content.rows if row.suite == name]
    compared, others = by_direction(rows)
    figures = [drawing for drawing in drawings if drawing.suite == name]
    shown = [drawing for drawing in figures if drawing.is_compared]
    pictures = {
        f"{model}: {shown.label}": shown.images
        for row in rows
        for model, found in row.headlines.items()
        for shown in found.artifacts
        if isinstance(shown, Images)
    }
    parts = [element("p", suites.describe_one(name))]
    parts += [figures_of(shown)] if shown else []
    parts += [headlines(content, compared, styles)] if compared and not shown else []
    parts += [samples(pictures)] if pictures else []
    if name == glance.SUITE and (chosen := glance.rows_at_a_glance(content.rows)):
        parts.append(_by_model(chosen, styles))
    if compared:
        parts.append(folded("All numbers", *(part for row in compared for part in _numbers(row))))
    if others:
        rest = figures_of([each for each in figures if not each.is_compared])
        numbers = (part for row in others for part in _numbers(row))
        parts.append(folded("Not compared: neither more nor less is better", rest, *numbers))
    return join(parts)


def by_direction(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows in which models are compared, and those whose metric has no better side."""
    compared = [row for row in rows if row.metric.higher_is_better is not None]
    return compared, [row for row in rows if row.metric.higher_is_better is None]


def figures_of(drawings: Sequence[Drawing]) -> Html:
    """Figures beside each other, as far as there is room."""
    return element("div", *map(_figure, drawings), class_="figures")


def samples(images: Mapping[str, np.ndarray]) -> Html:
    """Images to look at, under each condition or for each model.

    Args:
        images: By label, `[count, height, width, channels]`, in [0, 1].
    """
    return element(
        "div",
        *(
            element(
                "figure",
                element(
                    "img",
                    src=strip(shown),
                    alt=f"{len(shown)} images, {label}",
                    width=str(_LARGER * shown.shape[0] * shown.shape[2]),
                ),
                element("figcaption", label),
            )
            for label, shown in images.items()
        ),
        class_="samples",
    )


def facts(content: Table) -> Html:
    """Provenance of a table: trainings, data, machines and definitions."""
    trainings = {record.provenance.run: record.provenance for record in content.records}
    environments: dict[str, list[str]] = {}
    for of in (record.provenance for record in content.records):
        described = {k: v for k, v in of.environment.items() if k != "started"}
        runs = environments.setdefault(json.dumps(described, sort_keys=True), [])
        runs += [of.run] if of.run not in runs else []
    seconds = dict.fromkeys(trainings, 0.0)
    for record in content.records:
        seconds[record.provenance.run] += record.seconds
    header = ["run", "model", "seed", "checkpoint", "step", "parameters", "weights", "evaluation"]
    rows = [
        [
            run,
            of.model,
            "not known" if of.seed is None else str(of.seed),
            str(of.checkpoint),
            _plain(of.step),
            _plain(of.parameters),
            _checksum(of.weights),
            f"{seconds[run]:,.1f} s",
        ]
        for run, of in trainings.items()
    ]
    limit = f"the first {content.limit:,} drawn" if content.limit else "all"
    data = f"Data: {content.dataset}, test images: {limit}, checksum "
    return join(
        [
            element("p", data, _checksum(content.data)),
            table("Trainings", header, rows),
            folded("Devices and versions", *(_environment(*item) for item in environments.items())),
            folded("Definitions", _definitions(content)),
        ]
    )


def _by_model(rows: Sequence[Row], styles: Mapping[str, Style]) -> Html:
    """A line for each model, a column for each row."""
    flags: dict[str, int] = {}
    header = ["model", *map(glance.column_of, rows)]
    cells = [
        [_model(model, styles), *(_headline(row, model, flags) for row in rows)]
        for model in glance.models_of(rows)
    ]
    return _with_flags(table("At a glance, above 95 % intervals", header, cells), flags)


def _with_flags(shown: Html, flags: Mapping[str, int]) -> Html:
    """A table with the flags that its cells refer to by their numbers."""
    if not flags:
        return shown
    notes = (element("li", flag) for flag in flags)
    return join([shown, element("p", "Flags"), element("ol", *notes, class_="flags")])


def _model(model: str, styles: Mapping[str, Style]) -> Html:
    swatch = element("span", "", class_="swatch", style=f"background: {styles[model].colour}")
    # A long name breaks after a sign.
    parts = [join([part, Html("<wbr>")]) for part in re.split(r"(?<=[:,_])", model)]
    return join([swatch, Html("&nbsp;"), *parts])


def _headline(row: Row, model: str, flags: dict[str, int]) -> Html:
    found = row.headlines.get(model)
    if found is None:
        return element("td", "–", title="not measured, or not applicable")  # noqa: RUF001
    show = Format(row)
    value = show.number(found.value)
    parts = [value]
    for flag in found.flags:
        number = flags.setdefault(flag, len(flags) + 1)
        parts.append(element("sup", f"[{number}]", title=flag))
    parts.append(element("small", show.interval(found.interval)))
    return element("td", *parts, class_="number")


def _figure(drawing: Drawing) -> Html:
    source = data_uri("image/svg+xml", drawing.svg.encode())
    return element(
        "figure",
        element("img", src=source, alt=drawing.caption),
        element("figcaption", drawing.caption),
    )


def _numbers(row: Row) -> list[Html]:
    title, show = name_row(row), Format(row)
    header = ["model", "seeds", "value", "95 % interval", "method", "over seeds: mean ± sd"]
    header += ["t interval over seeds", "images", *_detail_names(row), "flags"]
    rows = [
        [model, *_numbers_of(found, show), *_details_of(row, found), _prose("; ".join(found.flags))]
        for model, found in row.headlines.items()
    ]
    return [table(title, header, rows)] + ([_curve(row)] if row.is_curve and row.leads else [])


def _numbers_of(found: Headline, show: Format) -> list[str]:
    over_seeds = between = ""
    if found.spread is not None:
        over_seeds = f"{show.number(found.spread.mean)} ± {show.number(found.spread.deviation)}"
        between = show.interval(found.spread.interval)
    return [
        name_seeds(found),
        show.number(found.value),
        show.interval(found.interval),
        found.method,
        over_seeds,
        between,
        f"{found.count:,}",
    ]


def _detail_names(row: Row) -> list[str]:
    return list(dict.fromkeys(name for each in row.headlines.values() for name in each.details))


def _details_of(row: Row, found: Headline) -> list[str]:
    return [
        show_detail(row, found.details[name]) if name in found.details else ""
        for name in _detail_names(row)
    ]


def _curve(row: Row) -> Html:
    points, show = next(iter(row.headlines.values())).points, Format(row)
    header = [name_axis(row), *row.headlines]
    rows = []
    for k, point in enumerate(points):
        cells = [
            element(
                "td",
                show.number(at.value),
                element("small", show.interval(at.interval)),
                class_="number",
            )
            for at in (found.points[k] for found in row.headlines.values())
        ]
        rows.append([name_strength(point.strength, row), *cells])
    return table(f"{name_row(row)}: at every strength", header, rows)


def _environment(described: str, runs: Sequence[str]) -> Html:
    found = json.loads(described)
    versions = found.pop("versions", {})
    rows = [[name, _plain(value)] for name, value in {**found, **versions}.items()]
    return table(f"Evaluated here: {', '.join(runs)}", ["what", "value"], rows)


def _definitions(content: Table) -> Html:
    rows = [
        [
            name_row(row),
            name_axis(row) if row.axis else "",
            _prose(json.dumps(row.definition, ensure_ascii=False)),
        ]
        for row in content.rows
    ]
    return table("What the conditions are", ["condition", "strength", "definition"], rows)


def _prose(content: str) -> Html:
    """A cell of a text that may be long."""
    return element("td", content, class_="prose") if content else Html()


def _checksum(content: str) -> Html:
    return element("code", content[:12], title=content)


def _plain(value) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
