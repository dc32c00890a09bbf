"""Rendering each batch afresh from the images of another dataset, and fixed splits once.

Training images are rendered inside the training step and never repeat; validation and test images
are rendered once, from their own splits and a fixed seed, so that every run is measured on the same
ones.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from common.errors import UserError
from data.batches import Batch, DeviceSplit
from data.dataset import Dataset, Split
from data.memory import check_fits
from data.sources.load import DatasetConfig, load
from stn.transforms import Transform

# Images that are rendered at once for the fixed splits.
_CHUNK = 500


def check_source(source: DatasetConfig) -> None:
    """Raises a `UserError` for a value that no source of images can have."""
    with _naming_source():
        source.check()
        if source.balanced:
            raise UserError("dataset.balanced=True: images that are rendered are drawn as they are")


def load_source(source: DatasetConfig, data_dir: str | None) -> Dataset:
    """Reads what is rendered into memory; see `data.sources.load.load`."""
    with _naming_source():
        return load(source, data_dir, in_memory=True)


@contextlib.contextmanager
def _naming_source() -> Iterator[None]:
    """Gives fields that an error names their path from the experiment."""
    try:
        yield
    except UserError as error:
        raise UserError(
            re.sub(r"\bdataset\.(?=[a-z_]+=)", "dataset.source.", str(error))
        ) from error


def load_rendered(
    config: Any,
    pose_transform: Transform,
    data_dir: str | None,
    *,
    axes: int = 2,
    chunk: int = _CHUNK,
    num_classes: Callable[[int], int] = lambda of_source: of_source,
) -> Dataset:
    """Reads the source of a generated dataset and renders its validation and test images.

    Args:
        config: With `name`, `source`, `canvas`, `seed` and `generate`.
        pose_transform: The family of the transforms that render the images.
        data_dir: See `data.sources.load.load`.
        axes: Of an image, 3 for volumes.
        chunk: See `fixed_splits`.
        num_classes: From the number of the source's classes to that of the rendered images.
    """
    source = load_source(config.source, data_dir)
    check_canvas(config.canvas, source, axes=axes, chunk=chunk)
    classes = num_classes(source.num_classes)
    rendered = fixed_splits(config.generate, source, config.seed, chunk=chunk)
    same = classes == source.num_classes  # sums of digits are other classes
    return dataclasses.replace(
        source,
        name=config.name,
        num_classes=classes,
        is_of_digits=source.is_of_digits and same,
        class_names=source.class_names if same else (),
        pose_transform=pose_transform,
        generator=config,
        **rendered,
    )


def check_canvas(canvas: int, source: Dataset, *, axes: int = 2, chunk: int = _CHUNK) -> None:
    """Checks that a source's images fit onto a canvas, and their renderings into memory.

    Args:
        canvas: Height and width of the rendered images, in pixels.
        source: What is rendered.
        axes: Of an image, 3 for volumes.
        chunk: See `fixed_splits`.

    Raises:
        UserError: if they do not, or are not square.
    """
    height, width, channels = source.image_shape
    if height != width or canvas < height:
        raise UserError(
            f"dataset.canvas={canvas}: the {height}x{width} images of {source.name} do not fit; "
            f"they must be square, and the canvas at least {max(height, width)}"
        )
    # A byte a pixel where they are stored, and four where a chunk of them is rendered.
    count = max(len(source.validation), len(source.test), 4 * chunk)
    check_fits((count, *[canvas] * axes, channels), f"dataset.canvas={canvas}")


def fixed_splits(
    generate: Callable[..., Batch], source: Dataset, seed: int, *, chunk: int = _CHUNK
) -> dict[str, Split]:
    """Renders the validation and test images of a source once and for all.

    Args:
        generate: From (key, split, chosen) to a batch.
        source: Its splits stay apart: distractors and partners come from the same one.
        seed: Decides every image.
        chunk: Images that are rendered at once; other chunks make other images.

    Returns:
        The rendered splits by name, their images rounded to whole grey levels.
    """
    key = jax.random.key(seed)
    return {
        role: render_split(
            generate, getattr(source, role), jax.random.fold_in(key, number), chunk=chunk
        )
        for number, role in enumerate(("validation", "test"))
    }


def render_split(
    generate: Callable[..., Batch], split: Split, key: Key[Array, ""], *, chunk: int = _CHUNK
) -> Split:
    """Every image of a split, rendered once in order; the arguments are those of `fixed_splits`."""

    def render(*given):
        images, labels, poses = generate(*given)
        return to_bytes(images), labels, poses

    images, labels, poses = render_chosen(render, split, key, np.arange(len(split)), chunk=chunk)
    return Split(images, labels.astype(np.int32), poses)


def render_chosen(
    render: Callable[..., tuple],
    split: Split,
    key: Key[Array, ""],
    chosen: Int[np.ndarray, "count"],
    *,
    chunk: int = _CHUNK,
) -> Any:
    """Renders images of a split in an order, of which each may be chosen several times.

    Args:
        render: From (key, split, chosen) to a tuple of arrays, each with an entry for each image.
        split: The images.
        key: Decides every rendering.
        chosen: Numbers of images.
        chunk: See `fixed_splits`.

    Returns:
        What `render` does of all the chosen images, as arrays of NumPy.
    """
    stored = DeviceSplit(jnp.asarray(split.images), jnp.asarray(split.labels))
    compiled = jax.jit(render)
    count = len(chosen)
    filled = np.resize(chosen, -(-count // chunk) * chunk)
    chunks = [
        jax.device_get(compiled(jax.random.fold_in(key, number), stored, few))
        for number, few in enumerate(np.split(filled, len(filled) // chunk))
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *chunks)


def to_bytes(images: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """Grey levels in [0, 1] as the nearest bytes."""
    return jnp.round(images * 255.0).astype(jnp.uint8)
