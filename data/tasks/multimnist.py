"""Two overlapping digits in one image: MultiMNIST, section 6 of Sabour, Frosst and Hinton (2017).

Each digit is moved by up to 4 pixels along each axis on a canvas of 36x36, and the two are added up
to white. They are of different classes and come from the same split. The paper renders 1,000 pairs
of each digit beforehand; here every batch is rendered anew.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt8

from common.errors import UserError
from common.limits import SEED, check_fields, whole
from data.augmentation import random_shift
from data.batches import DeviceSplit, normalise
from data.dataset import ROLES, Dataset, Split
from data.memory import check_fits
from data.sources.load import DatasetConfig
from data.tasks.rendering import check_source, load_source, render_chosen, to_bytes

_DIGITS = 2


class MultiMNISTBatch(NamedTuple):
    """Images of two digits each, and the digits by themselves.

    Attributes:
        images: In [0, 1].
        labels: The classes of the two, which differ.
        objects: The two digits at their places in the image, as targets of reconstructions.
    """

    images: Float[Array, "batch height width channels"]
    labels: Int[Array, "batch 2"]
    objects: Float[Array, "batch 2 height width channels"]


@dataclasses.dataclass
class MultiMNISTConfig:
    """Pairs of digits of different classes, each moved on its own, that overlap.

    Attributes:
        name: Of the task, for records.
        shift: A digit is moved by up to this many pixels either way along each axis; the canvas is
            so much larger on each side that no pixel is lost.
        partners: Pairs that each validation and test digit is the first of. The paper has 1,000.
        seed: Of the fixed validation and test images.
        source: Where the digits come from, and its splits.
    """

    name: str = "multimnist"
    shift: int = 4
    partners: int = 1
    seed: int = 0
    source: DatasetConfig = dataclasses.field(default_factory=lambda: DatasetConfig(shift=0))

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_source(self.source)
        check_fields(self, "dataset.", shift=whole(), partners=whole(1), seed=SEED)

    def load(self, data_dir: str | None) -> Dataset:
        """Reads the source and renders its validation and test pairs.

        Raises:
            UserError: if a split has digits of one class alone, or the pairs do not fit into
                memory.
        """
        source = load_source(self.source, data_dir)
        for role in ROLES:
            if np.ptp(getattr(source, role).labels) == 0:
                raise UserError(
                    f"dataset.source.{role}={getattr(self.source, role)!r}: all images are of one "
                    "class, and a pair needs two; choose a larger split"
                )
        self._check_memory(source)
        key = jax.random.key(self.seed)
        rendered = {
            role: self._pairs(getattr(source, role), jax.random.fold_in(key, number))
            for number, role in enumerate(("validation", "test"))
        }
        return dataclasses.replace(source, name=self.name, generator=self, **rendered)

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> MultiMNISTBatch:
        """The chosen digits, each merged with a random one of another class.

        A split of one class has no such pairs, and would be searched for ever.
        """
        partner_key, *keys = jax.random.split(key, 1 + _DIGITS)
        pairs = (chosen, draw_partners(partner_key, split.labels, chosen))
        border = ((0, 0), (self.shift, self.shift), (self.shift, self.shift), (0, 0))
        digits = [
            random_shift(key, jnp.pad(split.images[numbers], border), self.shift)
            for key, numbers in zip(keys, pairs, strict=True)
        ]
        return MultiMNISTBatch(
            normalise(merge(*digits)),
            jnp.stack([split.labels[numbers] for numbers in pairs], axis=1),
            normalise(jnp.stack(digits, axis=1)),
        )

    def _pairs(self, split: Split, key: Key[Array, ""]) -> Split:
        """The fixed pairs of a split, `partners` of each of its digits in order."""

        def render(key, split, chosen):
            batch = self.generate(key, split, chosen)
            return batch._replace(images=to_bytes(batch.images), objects=to_bytes(batch.objects))

        chosen = np.repeat(np.arange(len(split)), self.partners)
        images, labels, objects = render_chosen(render, split, key, chosen)
        return Split(images, labels.astype(np.int32), objects=objects)

    def _check_memory(self, source: Dataset) -> None:
        height, width, channels = source.image_shape
        canvas = (height + 2 * self.shift, width + 2 * self.shift, channels)
        count = max(len(source.validation), len(source.test)) * self.partners
        largest = max((1, "shift"), (self.partners, "partners"))[1]
        check_fits((count, 1 + _DIGITS, *canvas), f"dataset.{largest}={getattr(self, largest)}")


def draw_partners(
    key: Key[Array, ""], labels: Int[Array, "count"], chosen: Int[Array, "batch"]
) -> Int[Array, "batch"]:
    """Numbers of random images of other classes than the chosen ones, all equally likely.

    Those of the same class are drawn again until there are none.

    Args:
        key: Decides everything.
        labels: Of all images, not all the same.
        chosen: Numbers of images.
    """

    def propose(attempt):
        attempt_key = jax.random.fold_in(key, attempt)
        return jax.random.randint(attempt_key, chosen.shape, 0, labels.size)

    def is_alike(partners):
        return labels[partners] == labels[chosen]

    def draw_again(state):
        attempt, partners = state
        return attempt + 1, jnp.where(is_alike(partners), propose(attempt), partners)

    _, partners = lax.while_loop(
        lambda state: jnp.any(is_alike(state[1])), draw_again, (1, propose(0))
    )
    return partners


def merge(first: UInt8[Array, "*shape"], second: UInt8[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """The sum of two images in bytes, at most white: min(first + second, 255)."""
    return first + jnp.minimum(second, 255 - first)
