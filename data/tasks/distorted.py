"""Images of another dataset, each rendered on a canvas through a random distortion.

The tasks are those of Jaderberg et al. (2015), section 4.1 and appendix A.1.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from common.limits import SEED, check_fields, whole
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset
from data.distortions import (
    AffineDistortion,
    ElasticDistortion,
    Placement,
    ProjectiveDistortion,
    check_distortion,
    place,
)
from data.memory import check_fits
from data.sources.load import DatasetConfig
from data.tasks.rendering import check_source, load_rendered


@dataclasses.dataclass
class DistortedConfig:
    """Images of a source, each rendered on a canvas through a random distortion.

    Attributes:
        name: Of the task, for records.
        distortion: See `data.distortions`.
        canvas: Height and width of the rendered images, in pixels.
        distractors: How many patches of other images are added to each canvas.
        distractor_size: Their height and width, in pixels.
        seed: Of the fixed validation and test images.
        source: What is rendered, and its splits.
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
        """Reads the source and renders its validation and test images."""
        return load_rendered(self, self.distortion.transform, data_dir)

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
