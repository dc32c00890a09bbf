"""Warps of spatial transformers, as numbers and as a picture."""

import pathlib
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from cnn.output import Warp
from data.dataset import Dataset
from evaluation import panels
from evaluation.metrics.pose import pose_errors
from stn.diagnostics import frame, pixel_coordinates, warp_statistics

_COLOURS = ("tab:orange", "tab:cyan", "tab:pink", "tab:green")


def measure(warp: Warp, dataset: Dataset) -> dict[str, float]:
    """Computes statistics of the warps of the first validation images.

    Args:
        warp: Of these images.
        dataset: Its validation images; with poses, the error of the recovered pose is measured.

    Returns:
        For each transformer the mean and the standard deviation of rotation (degrees), scale,
        shifts and coverage (see `stn.diagnostics`), and the median pose error in pixels. The names
        of several transformers' numbers end in their number.
    """
    grids = np.asarray(warp.grids)
    transformers = grids.shape[1]
    numbers = {}
    for transformer in range(transformers):
        suffix = f"_{transformer}" if transformers > 1 else ""
        statistics = warp_statistics(jnp.asarray(grids[:, transformer]))
        for name in ("rotation", "scale", "shift_x", "shift_y", "coverage"):
            values = np.asarray(getattr(statistics, name))
            numbers[f"{name}{suffix}"] = float(np.mean(values))
            numbers[f"{name}_spread{suffix}"] = float(np.std(values))
    if dataset.pose_transform is not None and dataset.validation.poses is not None:
        errors = pose_errors(
            grids,
            dataset.validation.poses[: len(grids)],
            dataset.pose_transform,
            size=dataset.train.images.shape[1],
        )
        numbers["pose_error"] = float(np.median(errors.transformed.mean(axis=1)))
    return numbers


def draw(path: pathlib.Path, images: np.ndarray, warp: Warp) -> None:
    """Draws a column for each image: the input with every warp's frame, then the outputs.

    Args:
        path: PNG file; its folder is made.
        images: uint8, `[count, height, width, channels]`; several channels are shown side by side
            in grey unless they are three.
        warp: Of these images, or of more.
    """
    count, transformers = len(images), warp.grids.shape[1]
    figure, axes = panels.make(count, 1 + transformers)
    for column in range(count):
        panels.show(axes[0, column], images[column] / 255.0)
        lay(axes[0, column], axes[1:, column], warp, column, images.shape[1:3])
    axes[0, 0].set_ylabel("input")
    for transformer in range(transformers):
        axes[1 + transformer, 0].set_ylabel("output")
    panels.save(figure, path)


def lay(axis: Any, outputs: Iterable[Any], warp: Warp, place: int, size: tuple[int, int]) -> None:
    """Draws the frame of every warp of an image over it, and what each made of it.

    Args:
        axis: The panel that shows the image.
        outputs: A panel for each transformer.
        warp: Of several images.
        place: Of the image among them.
        size: Height and width of the image.
    """
    for transformer, below in enumerate(outputs):
        colour = _COLOURS[transformer % len(_COLOURS)]
        outline = frame(jnp.asarray(warp.grids[place : place + 1, transformer]))[0]
        x, y = np.asarray(pixel_coordinates(outline, size)).T
        axis.plot(x, y, color=colour, linewidth=1.2)
        panels.show(below, np.asarray(warp.images[place, transformer]))
        for spine in below.spines.values():
            spine.set(color=colour, linewidth=1.5)
