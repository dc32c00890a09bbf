"""A picture of predictions: images as a model sees them, and what it makes of them."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import printable
from evaluation import panels, warps
from evaluation.reports.figures import capsules
from evaluation.reports.formatting import cut
from evaluation.results.pictures import CouplingMaps
from inference.trained_model import Predictions, TrainedModel

_SHOWN = 8
_DPI = 150
_MAX_TITLE = 18  # letters that fit above a column
_COUPLINGS = ("couplings", "capsule_places")


def draw(path: pathlib.Path, model: TrainedModel, names: list[str], images: np.ndarray) -> str:
    """Draws a column for each of the first images, headed by its file, class and confidence.

    Below the image as the model sees it, with the frames of its warps, are what spatial
    transformers made of it, the reconstruction of the class that is predicted, and the couplings of
    each place to the winning class and to the runner-up; rows that a model has nothing for are left
    out.

    Args:
        path: PNG file; its folder is made.
        model: The model.
        names: Of the files.
        images: `[count, height, width, channels]`, uint8.

    Returns:
        A line on what was drawn.
    """
    count = min(len(images), _SHOWN)
    found, shown = model(images[:count]), images[:count] / np.float32(255.0)
    maps = _coupling_maps(model, shown)
    warped = 0 if found.warp is None else found.warp.grids.shape[1]
    rows = ["image", *["warped"] * warped, *_rest(found, maps)]
    figure, axes = panels.make(count, len(rows))
    for column, image in enumerate(shown):
        head = f"{pathlib.PurePath(printable(names[column])).name}\n{found.title(column)}"
        axes[0, column].set_title(_fitting(head), fontsize=8, parse_math=False)
        panels.show(axes[0, column], image)
        if found.warp is not None:
            warps.lay(
                axes[0, column], axes[1:, column][:warped], found.warp, column, image.shape[:2]
            )
        below = axes[1 + warped :, column]
        if found.reconstruction is not None:
            panels.show(below[0], found.reconstruction[column])
            below = below[1:]
        _lay_couplings(below, column, maps, model.signature.names)
    for axis, name in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(name.replace(" ", "\n"), fontsize=8)
    if maps is not None:
        capsules.add_scale(figure, axes[-maps.classes.shape[1] :], maps)
    panels.save(figure, path, dpi=_DPI)
    more = f"the first {count} of {len(images)} images"
    first = more if count < len(images) else f"{count} image{'s' * (count > 1)}"
    drawn = ", ".join([first, *dict.fromkeys(rows[1:])])
    return f"wrote {path}: {drawn}"


def _rest(found: Predictions, maps: CouplingMaps | None) -> list[str]:
    """Names of the rows below the warps."""
    couplings = ["winner's couplings", "runner-up's couplings"]
    classes = 0 if maps is None else maps.classes.shape[1]
    return ["reconstruction"] * (found.reconstruction is not None) + couplings[:classes]


def _coupling_maps(model: TrainedModel, images: np.ndarray) -> CouplingMaps | None:
    """Couplings by place; None of a model without, or without a map of capsules."""
    if not all(map(model.predictor.has, _COUPLINGS)):
        return None
    found: Mapping[str, Any] = model.outputs(images, "logits", *_COUPLINGS)
    return CouplingMaps.of(images, found["logits"], *(found[name] for name in _COUPLINGS))


def _lay_couplings(axes, column: int, maps: CouplingMaps | None, names: tuple[str, ...]) -> None:
    """Lays the maps of an image into the panels of its winning class and of the runner-up."""
    if maps is None:
        return
    for rank, axis in enumerate(axes):
        image, values = maps.images[column], maps.maps[column, rank]
        capsules.lay(axis, image, values, maps.places, maps.maps.max())
        name = cut(names[maps.classes[column, rank]], _MAX_TITLE)
        axis.set_xlabel(name, fontsize=8, parse_math=False)


def _fitting(head: str) -> str:
    return "\n".join(cut(line, _MAX_TITLE) for line in head.split("\n"))
