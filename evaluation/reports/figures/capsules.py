"""Figures of capsules: reconstructions, sweeps over poses, couplings and paths over the image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from evaluation import panels
from evaluation.reports.figures.style import WIDTH, canvas
from evaluation.reports.formatting import cut
from evaluation.results.pictures import CouplingMaps, PoseSweep, Reconstructions, WinningPaths

_TITLE = 0.24  # inches that a line of text takes
_MAX_TITLE = 60  # letters that fit into the width
_RING = (("black", 3.0), ("white", 1.4))  # seen on any ground
_MARK = "#d55e00"
_COLOURS = "viridis"
_SHADE = 0.6  # how far a map covers the image


def draw_reconstructions(of_models: Mapping[str, Reconstructions]) -> Figure:
    """The images, and below them a row of reconstructions for each model."""
    first = next(iter(of_models.values()))
    figure, axes = _rows(1 + len(of_models), first.images)
    rows = {"Images": first.images}
    rows |= {model: each.reconstructions for model, each in of_models.items()}
    for row, (title, images) in zip(axes, rows.items(), strict=True):
        _name(row, cut(title, _MAX_TITLE))
        for axis, image in zip(row, images, strict=True):
            panels.show(axis, image)
    return figure


def draw_sweeps(of_models: Mapping[str, PoseSweep]) -> Figure:
    """One picture for each model: a row for each component, a column for each step."""
    heights = [_sweep_height(each) for each in of_models.values()]
    figure, axes = canvas(sum(heights), nrows=len(of_models), height_ratios=heights, squeeze=False)
    for axis, (model, each) in zip(axes[:, 0], of_models.items(), strict=True):
        tiles, (height, width) = tiled(each)
        components, steps = each.sweep.shape[:2]
        axis.imshow(tiles, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(_titled(f"class {int(each.winner)}", model))
        axis.set_yticks(
            height * (np.arange(components + 1) + 0.5) - 0.5, ["image", *range(components)]
        )
        ends = np.array([0, steps // 2, steps - 1])  # all of them would not be legible
        axis.set_xticks(width * (ends + 0.5) - 0.5, map(_signed, each.offsets[ends]))
        axis.tick_params(labelsize=9, length=0)
        axis.spines[:].set_visible(False)
    axes[-1, 0].set_xlabel("Moved by")
    figure.supylabel("Component of the pose", fontsize=9.5)
    return figure


def tiled(sweep: PoseSweep) -> tuple[np.ndarray, tuple[int, int]]:
    """A sweep as one picture with gaps, the image itself above its middle column.

    Returns:
        `[(1 + components) * height, steps * width]`, NaN where there is nothing, or with three
        colours and how much of them there is; and the height and width of a tile with its gap.
    """
    shown = np.stack([np.stack([_opaque(image) for image in row]) for row in sweep.sweep])
    nothing = np.zeros(4) if shown.ndim == 5 else np.nan
    rows = np.full((1 + len(shown), *shown.shape[1:]), nothing)
    rows[1:] = shown
    rows[0, shown.shape[1] // 2] = _opaque(sweep.image)
    gaps = ((0, 0), (0, 0), (0, 1), (0, 1), *[(0, 0)] * (rows.ndim - 4))
    rows = np.pad(rows, gaps, constant_values=0.0 if shown.ndim == 5 else np.nan)
    count, steps, height, width = rows.shape[:4]
    tiles = np.moveaxis(rows, 1, 2)  # rows, height, steps, width
    return tiles.reshape(count * height, steps * width, *rows.shape[4:]), (height, width)


def _opaque(image: np.ndarray) -> np.ndarray:
    """An image in grey, or in three colours with an opacity of 1."""
    found = panels.visible(image)
    return found if found.ndim == 2 else np.pad(found, [(0, 0)] * 2 + [(0, 1)], constant_values=1.0)


def draw_coupling_maps(of_models: Mapping[str, CouplingMaps]) -> Figure:
    """The images, and for each model a row of maps of the winner and one of the runner-up."""
    first = next(iter(of_models.values()))
    figure, axes = _rows(1 + 2 * len(of_models), first.images, text=2)
    _name(axes[0], "Images")
    for axis, image in zip(axes[0], first.images, strict=True):
        panels.show(axis, image)
    for number, (model, each) in enumerate(of_models.items()):
        _draw_ranks(figure, axes[1 + 2 * number :][:2], model, each)
    return figure


def _draw_ranks(figure: Figure, rows: Any, model: str, found: CouplingMaps) -> None:
    """A model's row of maps of the winner and that of the runner-up, with one scale."""
    most = found.maps.max()
    for rank, (name, row) in enumerate(zip(("winner", "runner-up"), rows, strict=True)):
        if rank == found.classes.shape[1]:  # there is one class alone
            for axis in row:
                axis.set_visible(False)
            break
        _name(row, _titled(name, model))
        for image, axis in enumerate(row):
            lay(axis, found.images[image], found.maps[image, rank], found.places, most)
            axis.set_xlabel(f"class {found.classes[image, rank]}", fontsize=8)
    add_scale(figure, rows, found)


def add_scale(figure: Figure, rows: Any, found: CouplingMaps) -> None:
    """Adds the colours of maps beside them, with a mark where all classes are coupled alike.

    Args:
        figure: The figure.
        rows: Panels `[rows, images]` of `lay`, all with one scale.
        found: What they show.
    """
    scale = rows[0, 0].images[-1]
    bar = figure.colorbar(scale, ax=list(rows.flat), shrink=0.8, aspect=30, pad=0.01)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("coupling", fontsize=8)
    bar.ax.axhline(float(found.equal), color=_MARK, linewidth=1.6)


def draw_paths(of_models: Mapping[str, Sequence[WinningPaths]]) -> Figure:
    """For each model a row of maps for each of its layers, the highest first, above the images."""
    first = next(iter(of_models.values()))[0]
    figure, axes = _rows(1 + sum(map(len, of_models.values())), first.images, text=2)
    layers = [(model, each) for model, found in of_models.items() for each in reversed(found)]
    for row, (model, each) in zip(axes, layers, strict=False):
        _name(row, _titled(each.label, model))
        for image, axis in enumerate(row):
            shares = each.shares[image]
            lay(axis, each.images[image], shares, each.places, shares.max())
            at = tuple(each.strongest[image, :2])
            x, y = _pixels(each.places, each.images.shape[1:3])[at]
            for colour, width in _RING:
                ring = {"facecolors": "none", "edgecolors": colour, "linewidths": width}
                axis.scatter(x, y, s=40, clip_on=False, zorder=3, **ring)
            axis.set_xlabel(f"type {each.strongest[image, 2]}", fontsize=8)
    _name(axes[-1], "Images, and the class that wins")
    for axis, image, winner in zip(axes[-1], first.images, first.winners, strict=True):
        panels.show(axis, image)
        axis.set_xlabel(f"class {winner}", fontsize=8)
    return figure


def lay(axis: Any, image: np.ndarray, values: np.ndarray, places: np.ndarray, most: float) -> Any:
    """Lays a map over an image, each place a square in the middle of what it sees.

    Args:
        axis: The panel.
        image: `[height, width, channels]`; of other channels than three, their mean is shown.
        values: `[map_height, map_width]`, from 0 on.
        places: Of these, as `capsule_places` of `cnn.Views`.
        most: The value of the brightest colour.

    Returns:
        What a colour bar is made of.
    """
    grey = image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True)
    panels.show(axis, grey)
    limits = axis.get_xlim(), axis.get_ylim()
    pixels = _pixels(places, image.shape[:2])
    rows, columns = pixels[:, 0, 1], pixels[0, :, 0]
    height, width = _step(rows, image.shape[0]), _step(columns, image.shape[1])
    drawn = axis.imshow(
        values,
        cmap=_COLOURS,
        vmin=0.0,
        vmax=most or 1.0,
        alpha=_SHADE,
        interpolation="nearest",
        extent=(
            columns[0] - width / 2,
            columns[-1] + width / 2,
            rows[-1] + height / 2,
            rows[0] - height / 2,
        ),
    )
    axis.set(xlim=limits[0], ylim=limits[1])
    return drawn


def _rows(rows: int, images: np.ndarray, *, text: int = 1) -> tuple[Figure, Any]:
    """Panels of one row for each model and one column for each image, with lines of text."""
    count, height, width = images.shape[:3]
    panel = WIDTH / count * height / width
    figure, axes = canvas(rows * (panel + text * _TITLE), nrows=rows, ncols=count, squeeze=False)
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
    return figure, axes


def _titled(part: str, model: str) -> str:
    """A title of a part of a model, or of the only one."""
    title = f"{part} of {cut(model, _MAX_TITLE - len(part))}" if model else part
    return title[:1].upper() + title[1:]


def _name(row: Any, title: str) -> None:
    """Writes a title above a row of panels, as wide as it is."""
    row[-1].set_title(" ")  # which keeps the height free
    options = {"xycoords": "axes fraction", "textcoords": "offset points"}
    row[0].annotate(title, (0.0, 1.0), (0.0, 6.0), **options).set_in_layout(False)


def _sweep_height(sweep: PoseSweep) -> float:
    components, steps, height, width = sweep.sweep.shape[:4]
    if sweep.sweep.shape[-1] != 3:
        width *= sweep.sweep.shape[-1]
    return 0.85 * WIDTH * (1 + components) * height / (steps * width) + 3 * _TITLE


def _pixels(places: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """(x, y) of places in pixels, the centre of the first at 0."""
    return (places + 1.0) * np.asarray(size[::-1]) / 2.0 - 0.5


def _step(middles: np.ndarray, side: int) -> float:
    """The side of a place's square: the step, or all of the image for a single place."""
    return float(middles[1] - middles[0]) if len(middles) > 1 else float(side)


def _signed(offset: float) -> str:
    return f"{offset:+.2f}" if abs(offset) > 1e-6 else "0"
