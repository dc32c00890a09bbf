"""Pictures made of panels: a column for each image, and rows of what is shown of it."""

import pathlib
from typing import Any

import numpy as np


def make(columns: int, rows: int) -> tuple[Any, np.ndarray]:
    """Makes a figure of matplotlib without a window, and its axes, `[rows, columns]`."""
    # Importing it takes half a second, which most commands can do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.3 * columns, 1.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def show(axis: Any, image: np.ndarray) -> None:
    """Draws an image into a panel.

    Args:
        axis: The panel.
        image: `[height, width, channels]`, clipped to [0, 1]; several channels are shown side by
            side in grey unless they are three.
    """
    image = visible(image)
    height, width = image.shape[:2]
    axis.imshow(image, cmap="gray", vmin=0.0, vmax=1.0)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def visible(image: np.ndarray) -> np.ndarray:
    """An image as matplotlib shows it: `[height, width, 3]`, or grey `[height, width]`.

    Args:
        image: As of `show`.
    """
    channels = image.shape[-1]
    if channels != 3:
        image = np.concatenate(np.split(image, channels, axis=-1), axis=1)[..., 0]
    return np.clip(image, 0.0, 1.0)


def save(figure: Any, path: pathlib.Path, *, dpi: int = 100) -> None:
    """Writes a figure as PNG; its folder is made.

    Args:
        figure: What `make` returned, or another figure of matplotlib.
        path: PNG file.
        dpi: Pixels an inch.
    """
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=dpi)
