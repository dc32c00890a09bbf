"""Finding what some images have in common: digits of one class, anywhere on large canvases.

Appendix A.2 of Jaderberg et al. (2015): nothing but the images themselves says where the digits
are. The images are few and fixed, and are rendered anew in every step from the same key, which is
cheaper than a second place for data on the device.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from common.limits import MAX_SEED, check_fields, whole
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset, Split
from data.distortions import Placement
from data.sources.load import DatasetConfig
from data.tasks.distorted import DistortedConfig
from data.tasks.rendering import check_canvas, load_source, render_split


class CoLocalisationBatch(NamedTuple):
    """Pairs of the images, and ordinary digits for the encoder that compares them.

    Attributes:
        images: Some of the images, in [0, 1].
        labels: Their class, the same for all.
        partners: For each image another one of the set.
        windows: Random windows of `images`, (scale, x, y) as `stn.transforms.Attention` takes
            them: as large as the digits' frames and within the canvas.
        digits: Of every class, in frames of their own size.
        digit_labels: Their classes.
        poses: Of the digits on `images`; for measurements only, see `data.batches.Batch`.
    """

    images: Float[Array, "batch canvas canvas channels"]
    labels: Int[Array, " batch"]
    partners: Float[Array, "batch canvas canvas channels"]
    windows: Float[Array, "batch 3"]
    digits: Float[Array, "batch height width channels"]
    digit_labels: Int[Array, " batch"]
    poses: Float[Array, "batch objects parameters"]


@dataclasses.dataclass
class CoLocalisationConfig:
    """A few fixed images, each with one digit of a class at a random place, perhaps in clutter.

    The validation images are the fixed images themselves; the test images are those of the class,
    rendered with places and clutter of their own.

    Attributes:
        digit: The class that the images have in common.
        images: How many there are: the first ones of the class.
        canvas: Their height and width, in pixels.
        distractors: How many patches of other images are added to each; the paper's task T has
            none, TC has 16.
        distractor_size: Their height and width, in pixels.
        seed: Of the places and the clutter.
        source: Where the digits come from, and its splits.
    """

    digit: int = 2
    images: int = 100
    canvas: int = 84
    distractors: int = 0
    distractor_size: int = 6
    seed: int = 0
    source: DatasetConfig = dataclasses.field(default_factory=lambda: DatasetConfig(shift=0))

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        self._renderer().check()
        check_fields(self, "dataset.", images=whole(2), digit=whole(), seed=whole(0, MAX_SEED - 1))

    def load(self, data_dir: str | None) -> Dataset:
        """Reads the source and renders the images, and the test images of the class."""
        source = load_source(self.source, data_dir)
        check_canvas(self.canvas, source)
        for role, wanted in (("train", self.images), ("test", 1)):
            found = int(np.sum(getattr(source, role).labels == self.digit))
            if found < wanted:
                raise UserError(
                    f"dataset.digit={self.digit}: {found} images of {source.name}'s {role} split "
                    f"are of this class, {wanted} are needed"
                )
        stored = DeviceSplit(jnp.asarray(source.train.images), jnp.asarray(source.train.labels))
        fixed = jax.device_get(jax.jit(self._render)(stored))
        rendered = render_split(
            self._renderer().generate, source.test, jax.random.key(self.seed + 1)
        )
        of_the_class = rendered.labels == self.digit
        return dataclasses.replace(
            source,
            name=self._renderer().name,
            validation=Split(_to_bytes(fixed.images), np.asarray(fixed.labels), fixed.poses),
            test=rendered.take(of_the_class),
            pose_transform=Placement().transform,
        )

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, " batch"]
    ) -> CoLocalisationBatch:
        """Random pairs of the images, and the chosen digits."""
        image_key, partner_key, window_key = jax.random.split(key, 3)
        fixed, count = self._render(split), chosen.shape
        first = jax.random.randint(image_key, count, 0, self.images)
        second = (first + jax.random.randint(partner_key, count, 1, self.images)) % self.images
        assert fixed.poses is not None
        return CoLocalisationBatch(
            images=fixed.images[first],
            labels=fixed.labels[first],
            partners=fixed.images[second],
            windows=_random_windows(window_key, chosen.size, split.images.shape[1] / self.canvas),
            digits=normalise(split.images[chosen]),
            digit_labels=split.labels[chosen],
            poses=fixed.poses[first],
        )

    def _renderer(self) -> DistortedConfig:
        """Builds the configuration that renders digits on canvases."""
        return DistortedConfig(
            f"mnist co-localisation of {self.digit}" + " cluttered" * (self.distractors > 0),
            Placement(),
            canvas=self.canvas,
            distractors=self.distractors,
            distractor_size=self.distractor_size,
            seed=self.seed,
            source=self.source,
        )

    def _render(self, split: DeviceSplit) -> Batch:
        """The fixed images."""
        (members,) = jnp.nonzero(split.labels == self.digit, size=self.images)
        return self._renderer().generate(jax.random.key(self.seed), split, members)


def _random_windows(key, count: int, scale: float):
    corner = jax.random.uniform(key, (count, 2), minval=scale - 1.0, maxval=1.0 - scale)
    return jnp.concatenate([jnp.full((count, 1), scale), corner], axis=-1)


def _to_bytes(images) -> np.ndarray:
    return np.round(images * 255.0).astype(np.uint8)
