"""Monitors: numbers and a picture of a part of the model's output, at every validation."""

import difflib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from data.dataset import Dataset, Split
from evaluation import overlaps, panels, warps
from evaluation.model import Predictor, predict_all

# Validation images that numbers are taken over, and those that a picture shows.
_IMAGES = 500
_SHOWN = 8

Outputs = Mapping[str, Any]
"""Fields of a model's output for the first validation images, by name."""


class Monitor(NamedTuple):
    """One kind of measurement and picture of a model while it trains.

    Attributes:
        requires: Fields of the output (see `cnn.Output`); without one of them there is nothing to
            look at.
        measure: (outputs, dataset) to numbers by name.
        draw: (path, the first few validation images, outputs) writes a picture of them as PNG.
        applies: Tells the datasets on which there is something to look at.
    """

    requires: tuple[str, ...]
    measure: Callable[[Outputs, Dataset], dict[str, float]]
    draw: Callable[[pathlib.Path, Split, Outputs], None]
    applies: Callable[[Dataset], bool] = lambda _: True

    def fits(self, predictor: Predictor, dataset: Dataset) -> bool:
        """True if a model on a dataset has what is looked at."""
        return self.applies(dataset) and all(map(predictor.has, self.requires))


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
    """Measures and draws the first validation images, in one pass for all monitors.

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
    fields = sorted({field for each in chosen.values() for field in each.requires})
    if not fields:
        return {}
    outputs = predict_all(
        lambda batch: dict(predictor.outputs(batch, *fields)),
        dataset.validation.images[:_IMAGES],
        batch_size=batch_size,
        name="monitors",
    )
    numbers: dict[str, float] = {}
    for name, monitor in chosen.items():
        numbers |= monitor.measure(outputs, dataset)
        if picture is not None:
            with picture(name) as path:
                monitor.draw(path, dataset.validation.take(slice(_SHOWN)), outputs)
    return numbers


def _measure_reconstructions(outputs: Outputs, dataset: Dataset) -> dict[str, float]:
    """The mean over images of the summed squared error, where grey levels go from 0 to 1."""
    reconstructions = outputs["reconstruction"]
    images = dataset.validation.images[: len(reconstructions)] / np.float32(255.0)
    errors = np.sum(np.square(reconstructions - images), axis=tuple(range(1, images.ndim)))
    return {"reconstruction_error": float(np.mean(errors))}


def _draw_reconstructions(path: pathlib.Path, shown: Split, outputs: Outputs) -> None:
    """Images above the reconstructions of the classes that are predicted for them."""
    figure, axes = panels.make(len(shown), 2)
    for column, image in enumerate(shown.images):
        panels.show(axes[0, column], image / 255.0)
        panels.show(axes[1, column], outputs["reconstruction"][column])
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("reconstruction")
    panels.save(figure, path)


def coupling_entropy(couplings: np.ndarray) -> float:
    """The mean entropy of couplings, as a share of the largest: 1 where all classes get the same.

    Args:
        couplings: `[batch, capsules, classes]`, not negative; each capsule's are brought to a sum
            of one, for a leaky routing sends some nowhere.
    """
    classes = couplings.shape[-1]
    if classes == 1:
        return 0.0
    tiny = np.finfo(np.float32).tiny
    shares = couplings / np.maximum(np.sum(couplings, axis=-1, keepdims=True), tiny)
    entropies = -np.sum(shares * np.log(np.maximum(shares, tiny)), axis=-1)
    return float(np.mean(entropies) / np.log(classes))


def _draw_couplings(path: pathlib.Path, shown: Split, outputs: Outputs) -> None:
    """Images above the mean coupling of their capsules to each class."""
    figure, axes = panels.make(len(shown), 2)
    means = np.mean(outputs["couplings"][: len(shown)], axis=1)
    for column, image in enumerate(shown.images):
        panels.show(axes[0, column], image / 255.0)
        axes[1, column].bar(np.arange(means.shape[1]), means[column], color="tab:blue")
        axes[1, column].set(xticks=[], yticks=[], ylim=(0.0, 1.0))
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("couplings")
    panels.save(figure, path)


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
        lambda outputs, _: {"coupling_entropy": coupling_entropy(outputs["couplings"])},
        _draw_couplings,
    ),
}
NAMES = tuple(MONITORS)
# Runs store theirs: one more here, and older runs would differ from their configurations.
DEFAULT = ("warps", "reconstructions", "couplings")
