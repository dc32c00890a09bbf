"""Monitors: numbers and a picture of a part of the model's output, at every validation."""

import difflib
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from data.dataset import Dataset, Split
from evaluation import overlaps, panels, pictures, warps
from evaluation.metrics.couplings import coupling_entropies, path_spreads
from evaluation.metrics.reconstructions import squared_errors
from evaluation.model import Predictor, predict_all

# Validation images that numbers are taken over, and those that a picture shows.
_IMAGES = 500
_SHOWN = 8

Outputs = Mapping[str, Any]
"""Fields of a model's output for the first validation images, by name."""


class Monitor(NamedTuple):
    """One kind of measurement and picture of a model while it trains.

    Attributes:
        requires: Fields of the output or the views (see `cnn.Output` and `cnn.Views`); without one
            of them there is nothing to look at.
        measure: (outputs, dataset) to numbers by name.
        draw: (path, the first few validation images, outputs) writes a picture of them as PNG.
        applies: Tells the datasets on which there is something to look at.
        shown: Fields that the picture alone requires, which are computed of the images in it.
        wanted: Likewise, but the picture does without them if a model has not all of them.
    """

    requires: tuple[str, ...]
    measure: Callable[[Outputs, Dataset], dict[str, float]]
    draw: Callable[[pathlib.Path, Split, Outputs], None]
    applies: Callable[[Dataset], bool] = lambda _: True
    shown: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()

    def fits(self, predictor: Predictor, dataset: Dataset) -> bool:
        """True if a model on a dataset has what is looked at."""
        return self.applies(dataset) and all(map(predictor.has, self.requires + self.shown))

    def drawn(self, predictor: Predictor) -> list[str]:
        """The fields of a model that the picture needs besides those that are measured."""
        return [*self.shown, *(self.wanted if all(map(predictor.has, self.wanted)) else ())]


def check(names: Sequence[str]) -> None:
    """Raises a `UserError` for a name that no monitor has."""
    for name in names:
        if name not in MONITORS:
            near = difflib.get_close_matches(name, NAMES, n=1)
            meant = f"did you mean {near[0]}? There" if near else "there"
            raise UserError(f"monitors={name!r}: {meant} are {', '.join(NAMES)}")


def observe(
    names: Sequence[str],
    predictor: Predictor,
    dataset: Dataset,
    *,
    batch_size: int,
    picture: Callable[[str], AbstractContextManager[pathlib.Path]] | None,
) -> dict[str, float]:
    """Measures and draws the first validation images.

    There is one pass for all that is measured, and another for what only pictures need.

    Args:
        names: Of monitors; those that require what model or dataset does not have are left out.
        predictor: The model.
        dataset: Its validation images are looked at.
        batch_size: Images per call of the model.
        picture: From a monitor's name to the file that its picture goes to; None draws nothing.

    Returns:
        The numbers of all monitors, by their own names.
    """
    chosen = {name: MONITORS[name] for name in names if MONITORS[name].fits(predictor, dataset)}
    fields = {field for each in chosen.values() for field in each.requires}
    outputs = _read(predictor, fields, dataset.validation.images[:_IMAGES], batch_size)
    # Every process runs the same programs, also one that draws nothing.
    drawn = {field for each in chosen.values() for field in each.drawn(predictor)} - fields
    outputs |= _read(predictor, drawn, dataset.validation.images[:_SHOWN], min(batch_size, _SHOWN))
    numbers: dict[str, float] = {}
    for name, monitor in chosen.items():
        numbers |= monitor.measure(outputs, dataset)
        if picture is not None:
            with picture(name) as path:
                monitor.draw(path, dataset.validation.take(slice(_SHOWN)), outputs)
    return numbers


def _read(
    predictor: Predictor, fields: Iterable[str], images: np.ndarray, batch_size: int
) -> dict[str, Any]:
    if not (names := sorted(fields)):
        return {}
    return predict_all(
        lambda batch: dict(predictor.outputs(batch, *names)),
        images,
        batch_size=batch_size,
        name="monitors",
    )


def _measure_reconstructions(outputs: Outputs, dataset: Dataset) -> dict[str, float]:
    """The mean over images of the summed squared error, where grey levels go from 0 to 1."""
    reconstructions = outputs["reconstruction"]
    images = dataset.validation.images[: len(reconstructions)] / np.float32(255.0)
    return {"reconstruction_error": float(np.mean(squared_errors(reconstructions, images)))}


def _draw_reconstructions(path: pathlib.Path, shown: Split, outputs: Outputs) -> None:
    """Images above the reconstructions of the classes that are predicted for them."""
    figure, axes = panels.make(len(shown), 2)
    for column, image in enumerate(shown.images):
        panels.show(axes[0, column], image / 255.0)
        panels.show(axes[1, column], outputs["reconstruction"][column])
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("reconstruction")
    panels.save(figure, path)


def _measure_couplings(outputs: Outputs, dataset: Dataset) -> dict[str, float]:
    """The mean entropy of couplings, as a share of the largest."""
    del dataset
    return {"coupling_entropy": float(np.mean(coupling_entropies(outputs["couplings"])))}


def _draw_couplings(path: pathlib.Path, shown: Split, outputs: Outputs) -> None:
    """Couplings as maps over images; of capsules on no map, the mean coupling to each class."""
    if "capsule_places" in outputs:
        pictures.draw_coupling_maps(path, _grey(shown), outputs)
        return
    figure, axes = panels.make(len(shown), 2)
    means = np.mean(outputs["couplings"][: len(shown)], axis=1)
    for column, image in enumerate(shown.images):
        panels.show(axes[0, column], image / 255.0)
        axes[1, column].bar(np.arange(means.shape[1]), means[column], color="tab:blue")
        axes[1, column].set(xticks=[], yticks=[], ylim=(0.0, 1.0))
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("couplings")
    panels.save(figure, path)


def _grey(shown: Split) -> np.ndarray:
    return shown.images / np.float32(255.0)


MONITORS = {
    "warps": Monitor(
        ("warp",),
        lambda outputs, dataset: warps.measure(outputs["warp"], dataset),
        lambda path, shown, outputs: warps.draw(path, shown.images, outputs["warp"]),
    ),
    "reconstructions": Monitor(
        ("reconstruction",),
        _measure_reconstructions,
        _draw_reconstructions,
        # The reconstruction of one object is none of an image of several.
        applies=lambda dataset: dataset.labels_per_image == 1,
    ),
    "overlaps": Monitor(
        ("logits", overlaps.FIELD),
        lambda outputs, dataset: overlaps.measure(outputs[overlaps.FIELD], dataset.validation),
        lambda path, shown, outputs: overlaps.draw(
            path, shown, outputs[overlaps.FIELD], outputs["logits"]
        ),
        applies=lambda dataset: overlaps.has_objects(dataset.validation),
    ),
    "couplings": Monitor(
        ("couplings",),
        _measure_couplings,
        _draw_couplings,
        wanted=("capsule_places", "logits"),
    ),
    "pose_sweeps": Monitor(
        (),
        lambda outputs, _: {},
        lambda path, shown, outputs: pictures.draw_sweep(path, _grey(shown), outputs),
        shown=("pose_sweeps", "logits"),
    ),
    "winning_paths": Monitor(
        ("winning_paths", "logits"),
        lambda outputs, _: {
            "path_spread": float(np.mean(path_spreads(outputs["winning_paths"]))),
        },
        lambda path, shown, outputs: pictures.draw_paths(path, _grey(shown), outputs),
    ),
}
NAMES = tuple(MONITORS)
# Runs store theirs: one more here, and older runs would differ from their configurations.
DEFAULT = ("warps", "reconstructions", "couplings")
