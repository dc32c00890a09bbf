"""Datasets that paint each batch afresh, from the images of another dataset.

Training images are painted inside the training step and never repeat; validation and test images
are painted once, from their own splits and a fixed seed, so that every run is measured on the same
ones. The tasks are those of Jaderberg et al. (2015), section 4.1 and appendix A.1.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from common.limits import SEED, check_fields, whole
from data.batches import Batch, DeviceSplit, normalise
from data.distortions import (
    AffineDistortion,
    ElasticDistortion,
    Placement,
    ProjectiveDistortion,
    check_distortion,
    place,
)
from data.memory import check_fits
from data.sources import Dataset, DatasetConfig, Split
from stn.transforms import Transform

# Images that are painted at once for the fixed splits.
_CHUNK = 500


@dataclasses.dataclass
class DistortedConfig:
    """Images of a source, each painted on a canvas through a random distortion.

    Attributes:
        name: Of the task, for records.
        distortion: See `data.distortions`.
        canvas: Height and width of the painted images, in pixels.
        distractors: How many patches of other images are added to each canvas.
        distractor_size: Their height and width, in pixels.
        seed: Of the fixed validation and test images.
        source: What is painted, and its splits.
    """

    name: str
    distortion: Any
    canvas: int = 28
    distractors: int = 0
    distractor_size: int = 6
    seed: int = 0
    source: DatasetConfig = dataclasses.field(default_factory=lambda: DatasetConfig(shift=0))

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_distortion("dataset.distortion", self.distortion)
        check_source(self.source)
        check_fields(
            self,
            "dataset.",
            canvas=whole(1),
            distractors=whole(),
            distractor_size=whole(1),
            seed=SEED,
        )

    def load(self, data_dir: str | None) -> Dataset:
        """Reads the source and paints its validation and test images."""
        return load_painted(self, self.distortion.transform, data_dir)

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen images, distorted, among distractors."""
        distortion_key, distractor_key = jax.random.split(key)
        images, poses = self.distortion(
            distortion_key, normalise(split.images[chosen]), self.canvas
        )
        if self.distractors:
            clutter = draw_clutter(
                distractor_key,
                split,
                batch=chosen.size,
                count=self.distractors,
                size=self.distractor_size,
                canvas=self.canvas,
            )
            images = jnp.minimum(images + clutter, 1.0)
        return Batch(images, split.labels[chosen], poses[:, None])


@dataclasses.dataclass
class AdditionConfig:
    """Two digits, one a channel, each distorted on its own; the label is their sum.

    Attributes:
        name: Of the task, for records.
        distortion: See `data.distortions`.
        canvas: Height and width of the painted images, in pixels.
        seed: Of the fixed validation and test images.
        source: Images of one channel whose labels are numbers.
    """

    name: str = "mnist addition"
    distortion: Any = dataclasses.field(
        default_factory=lambda: AffineDistortion(45.0, 0.7, 1.2, anywhere=True)
    )
    canvas: int = 42
    seed: int = 0
    source: DatasetConfig = dataclasses.field(default_factory=lambda: DatasetConfig(shift=0))

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_distortion("dataset.distortion", self.distortion)
        check_source(self.source)
        check_fields(self, "dataset.", canvas=whole(1), seed=SEED)

    def load(self, data_dir: str | None) -> Dataset:
        """Reads the source and paints its validation and test images."""
        dataset = load_painted(
            self, self.distortion.transform, data_dir, num_classes=lambda digits: 2 * digits - 1
        )
        if dataset.train.images.shape[-1] != 1:
            raise UserError(
                f"dataset.source.name={self.source.name!r}: its images have "
                f"{dataset.train.images.shape[-1]} channels; digits to add have one"
            )
        return dataset

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen digits in the first channel, random ones in the second."""
        partner_key, *keys = jax.random.split(key, 3)
        partner = jax.random.randint(partner_key, chosen.shape, 0, split.labels.size)
        # A loop, for within one program XLA would merge both reads into one that takes four times
        # as long.
        painted, poses = lax.map(
            lambda digits: self.distortion(*digits, self.canvas),
            (jnp.stack(keys), normalise(split.images[jnp.stack([chosen, partner])])),
        )
        return Batch(
            jnp.moveaxis(painted[..., 0], 0, -1),
            split.labels[chosen] + split.labels[partner],
            jnp.moveaxis(poses, 0, 1),
        )


def check_source(source: DatasetConfig) -> None:
    """Raises a `UserError` for a value that no source of images can have."""
    with _naming_source():
        source.check()


def load_source(source: DatasetConfig, data_dir: str | None) -> Dataset:
    """Reads what is painted; see `data.sources.load`."""
    with _naming_source():
        return source.load(data_dir)


@contextlib.contextmanager
def _naming_source() -> Iterator[None]:
    """Gives fields that an error names their path from the experiment."""
    try:
        yield
    except UserError as error:
        raise UserError(
            re.sub(r"\bdataset\.(?=[a-z_]+=)", "dataset.source.", str(error))
        ) from error


def rotated(canvas: int = 28) -> DistortedConfig:
    """R: turned by up to 90 degrees. The paper does not give its canvas."""
    return DistortedConfig("mnist rotated", AffineDistortion(rotation=90.0), canvas)


def rotated_translated_scaled() -> DistortedConfig:
    """RTS: turned by up to 45 degrees, scaled by 0.7 to 1.2, anywhere on 42x42 pixels."""
    return DistortedConfig(
        "mnist rotated translated scaled",
        AffineDistortion(rotation=45.0, smallest_scale=0.7, largest_scale=1.2, anywhere=True),
        canvas=42,
    )


def projected() -> DistortedConfig:
    """P: scaled by 0.75 to 1, the corners moved by noise of 5 pixels."""
    return DistortedConfig("mnist projected", ProjectiveDistortion())


def elastic() -> DistortedConfig:
    """E: scaled by 0.75 to 1, 16 control points of a spline moved by noise of 1.5 pixels."""
    return DistortedConfig("mnist elastic", ElasticDistortion())


def translated() -> DistortedConfig:
    """T: anywhere on 60x60 pixels."""
    return DistortedConfig("mnist translated", Placement(), canvas=60)


def translated_cluttered() -> DistortedConfig:
    """TC: anywhere on 60x60 pixels, among six 6x6 patches of other digits."""
    return DistortedConfig("mnist translated cluttered", Placement(), canvas=60, distractors=6)


def translated_cluttered_large() -> DistortedConfig:
    """TU: anywhere on the 84x84 pixels of the co-localisation images, among 16 patches."""
    return DistortedConfig(
        "mnist translated cluttered large", Placement(), canvas=84, distractors=16
    )


def load_painted(
    config: Any,
    pose_transform: Transform,
    data_dir: str | None,
    *,
    axes: int = 2,
    chunk: int = _CHUNK,
    num_classes: Callable[[int], int] = lambda of_source: of_source,
) -> Dataset:
    """Reads the source of a generated dataset and paints its validation and test images.

    Args:
        config: With `name`, `source`, `canvas`, `seed` and `generate`.
        pose_transform: The family of the transforms that paint the images.
        data_dir: See `data.sources.load`.
        axes: Of an image, 3 for volumes.
        chunk: See `fixed_splits`.
        num_classes: From the number of the source's classes to that of the painted images.
    """
    source = load_source(config.source, data_dir)
    check_canvas(config.canvas, source, axes=axes, chunk=chunk)
    painted = fixed_splits(config.generate, source, config.seed, chunk=chunk)
    return dataclasses.replace(
        source,
        name=config.name,
        num_classes=num_classes(source.num_classes),
        pose_transform=pose_transform,
        **painted,
    )


def check_canvas(canvas: int, source: Dataset, *, axes: int = 2, chunk: int = _CHUNK) -> None:
    """Checks that a source's images fit onto a canvas, and their paintings into memory.

    Args:
        canvas: Height and width of the painted images, in pixels.
        source: What is painted.
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
    # A byte a pixel where they are stored, and four where a chunk of them is painted.
    count = max(len(source.validation), len(source.test), 4 * chunk)
    check_fits((count, *[canvas] * axes, channels), f"dataset.canvas={canvas}")


def draw_clutter(
    key: Key[Array, ""], split: DeviceSplit, *, batch: int, count: int, size: int, canvas: int
) -> Float[Array, "batch canvas canvas channels"]:
    """Random square patches of random images of a split, at random places of blank canvases.

    Args:
        key: Decides everything.
        split: Where the patches come from.
        batch: Canvases.
        count: Patches on each, added up where they overlap.
        size: Height and width of a patch, in pixels.
        canvas: Height and width of a canvas, in pixels.
    """
    side = split.images.shape[1]
    if not 1 <= size <= min(side, canvas):
        raise UserError(
            f"dataset.distractor_size={size}: must be from 1 to {min(side, canvas)}, the side of "
            "the images that patches are cut from"
        )
    # Each patch is stretched to the canvas along one axis before it is placed along the other.
    stretched = (4, batch, count, canvas, size, split.images.shape[-1])
    check_fits(stretched, f"dataset.distractors={count}")
    image_key, crop_key, place_key = jax.random.split(key, 3)
    images = jax.random.randint(image_key, (batch, count, 1, 1), 0, split.labels.size)
    first = jax.random.randint(crop_key, (2, batch, count, 1, 1), 0, side - size + 1)
    rows = first[0] + jnp.arange(size)[:, None]
    columns = first[1] + jnp.arange(size)
    patches = normalise(split.images[images, rows, columns])
    corners = jax.random.randint(place_key, (batch, count, 2), 0, canvas - size + 1)
    return place(patches, corners, canvas)


def fixed_splits(
    generate: Callable[..., Batch], source: Dataset, seed: int, *, chunk: int = _CHUNK
) -> dict[str, Split]:
    """Paints the validation and test images of a source once and for all.

    Args:
        generate: From (key, split, chosen) to a batch.
        source: Its splits stay apart: distractors and partners come from the same one.
        seed: Decides every image.
        chunk: Images that are painted at once; other chunks make other images.

    Returns:
        The painted splits by name, their images rounded to whole grey levels.
    """
    key = jax.random.key(seed)
    return {
        role: paint_split(
            generate, getattr(source, role), jax.random.fold_in(key, number), chunk=chunk
        )
        for number, role in enumerate(("validation", "test"))
    }


def paint_split(
    generate: Callable[..., Batch], split: Split, key: Key[Array, ""], *, chunk: int = _CHUNK
) -> Split:
    """Every image of a split, painted once in order; the arguments are those of `fixed_splits`."""
    stored = DeviceSplit(jnp.asarray(split.images), jnp.asarray(split.labels))

    @jax.jit
    def paint(number, chosen):
        images, labels, poses = generate(jax.random.fold_in(key, number), stored, chosen)
        return jnp.round(images * 255.0).astype(jnp.uint8), labels, poses

    numbers = np.arange(-(-len(split) // chunk) * chunk) % len(split)
    chunks = [
        jax.device_get(paint(number, chosen))
        for number, chosen in enumerate(np.split(numbers, len(numbers) // chunk))
    ]
    images, labels, poses = (
        np.concatenate(parts)[: len(split)] for parts in zip(*chunks, strict=True)
    )
    return Split(images, labels.astype(np.int32), poses)
