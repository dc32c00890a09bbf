"""What spatial transformers do, as numbers and as a picture."""

import pathlib
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.metrics.pose import pose_errors
from evaluation.model import Warp, predict_all
from stn.diagnostics import frame, pixel_coordinates, warp_statistics

# How many validation images the numbers are taken over, and how many the picture shows.
_IMAGES = 500
_SHOWN = 8
_COLOURS = ("tab:orange", "tab:cyan", "tab:pink", "tab:green")


def look(
    warp_images: Callable[[np.ndarray], Warp],
    dataset: Dataset,
    *,
    batch_size: int,
    picture: pathlib.Path | None,
) -> dict[str, float]:
    """Statistics of the warps of the first validation images, and a picture of some.

    Args:
        warp_images: The `warp` of a model.
        dataset: Its validation images; with poses, the error of the recovered pose is measured.
        batch_size: Images per call of the model.
        picture: Where the picture goes, as PNG; None draws nothing.

    Returns:
        For each transformer the mean and the standard deviation of rotation (degrees), scale,
        shifts and coverage (see `stn.diagnostics`), and the median pose error in pixels. The names
        of several transformers' numbers end in their number.
    """
    images = dataset.validation.images[:_IMAGES]
    warp = predict_all(warp_images, images, batch_size=batch_size, name="warps")
    transformers = warp.grids.shape[1]
    numbers = {}
    for transformer in range(transformers):
        suffix = f"_{transformer}" if transformers > 1 else ""
        statistics = warp_statistics(jnp.asarray(warp.grids[:, transformer]))
        for name in ("rotation", "scale", "shift_x", "shift_y", "coverage"):
            values = np.asarray(getattr(statistics, name))
            numbers[f"{name}{suffix}"] = float(np.mean(values))
            numbers[f"{name}_spread{suffix}"] = float(np.std(values))
    if dataset.pose_transform is not None and dataset.validation.poses is not None:
        errors = pose_errors(
            warp.grids,
            dataset.validation.poses[:_IMAGES],
            dataset.pose_transform,
            size=dataset.train.images.shape[1],
        )
        numbers["pose_error"] = float(np.median(errors.transformed.mean(axis=1)))
    if picture is not None:
        draw(picture, images[:_SHOWN], warp)
    return numbers


def draw(path: pathlib.Path, images: np.ndarray, warp: Warp) -> None:
    """A picture with a column for each image: the input with every warp's frame, then the outputs.

    Args:
        path: PNG file; its folder is made.
        images: uint8, `[count, height, width, channels]`; several channels are shown side by side
            in grey unless they are three.
        warp: Of these images, or of more.
    """
    # Importing it takes half a second, which most commands can do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count, transformers = len(images), warp.grids.shape[1]
    figure = Figure(figsize=(1.3 * count, 1.4 * (1 + transformers)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + transformers, count, squeeze=False)
    for column in range(count):
        _show(axes[0, column], images[column] / 255.0)
        for transformer in range(transformers):
            colour = _COLOURS[transformer % len(_COLOURS)]
            outline = frame(jnp.asarray(warp.grids[column : column + 1, transformer]))[0]
            x, y = np.asarray(pixel_coordinates(outline, images.shape[1:3])).T
            axes[0, column].plot(x, y, color=colour, linewidth=1.2)
            below = axes[1 + transformer, column]
            _show(below, warp.images[column, transformer])
            for spine in below.spines.values():
                spine.set(color=colour, linewidth=1.5)
    axes[0, 0].set_ylabel("input")
    for transformer in range(transformers):
        axes[1 + transformer, 0].set_ylabel("output")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)


def _show(axis, image: np.ndarray) -> None:
    height, _, channels = image.shape
    if channels != 3:
        image = np.concatenate(np.split(image, channels, axis=-1), axis=1)[..., 0]
    axis.imshow(np.clip(image, 0.0, 1.0), cmap="gray", vmin=0.0, vmax=1.0)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, image.shape[1] - 0.5), ylim=(height - 0.5, -0.5))
