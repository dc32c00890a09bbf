"""Pictures of capsules while they train: the figures of reports, of one model."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from evaluation import panels
from evaluation.results.pictures import CouplingMaps, PoseSweep, WinningPaths

Outputs = Mapping[str, Any]
"""Fields of a model's output and views for images in order, by name; there may be more of them."""


# Of the figures of reports, in whose few inches there is much; and the images in one.
_DPI = 150
_SHOWN = 6


def draw_sweep(path: pathlib.Path, images: np.ndarray, outputs: Outputs) -> None:
    """Draws the sweep over every component of the winning pose, for the first image.

    Args:
        path: PNG file; its folder is made.
        images: `[count, height, width, channels]` in [0, 1].
        outputs: With `pose_sweeps` and `logits`.
    """
    picture = PoseSweep.of(images[0], outputs["pose_sweeps"][0], outputs["logits"][0])
    _write(path, lambda figures: figures.draw_sweeps({"": picture}))


def draw_coupling_maps(path: pathlib.Path, images: np.ndarray, outputs: Outputs) -> None:
    """Draws the couplings of each place to the winner and to the runner-up over the images.

    Args:
        path: PNG file; its folder is made.
        images: `[count, height, width, channels]` in [0, 1].
        outputs: With `couplings`, `capsule_places` and `logits`.
    """
    images = images[:_SHOWN]
    found = _first(outputs, len(images), "logits", "couplings", "capsule_places")
    picture = CouplingMaps.of(images, *found)
    _write(path, lambda figures: figures.draw_coupling_maps({"": picture}))


def draw_paths(path: pathlib.Path, images: np.ndarray, outputs: Outputs) -> None:
    """Draws the shares of every layer in the winning class capsules over the images.

    Args:
        path: PNG file; its folder is made.
        images: `[count, height, width, channels]` in [0, 1].
        outputs: With `winning_paths` and `logits`.
    """
    images = images[:_SHOWN]
    found = _first(outputs, len(images), "logits", "winning_paths")
    layers = WinningPaths.of(images, *found)
    _write(path, lambda figures: figures.draw_paths({"": layers}))


def _first(outputs, count, *names):
    """Some fields of the first images."""
    return jax.tree.map(lambda values: values[:count], [outputs[name] for name in names])


def _write(path: pathlib.Path, draw: Callable[[Any], Any]) -> None:
    # Importing matplotlib takes half a second, which most commands can do without.
    import matplotlib as mpl

    from evaluation.reports.figures import capsules
    from evaluation.reports.figures.style import SETTINGS

    with mpl.rc_context(SETTINGS):
        panels.save(draw(capsules), path, dpi=_DPI)
