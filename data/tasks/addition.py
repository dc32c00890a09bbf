"""Two digits to add, as in appendix A.1 and table 4 of Jaderberg et al. (2015).

Each digit has a channel, and a distortion, of its own.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key

from common.errors import UserError
from common.limits import SEED, check_fields, whole
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset
from data.distortions import (
    AffineDistortion,
    check_distortion,
)
from data.sources.load import DatasetConfig
from data.tasks.rendering import check_source, load_rendered


@dataclasses.dataclass
class AdditionConfig:
    """Two digits, one a channel, each distorted on its own; the label is their sum.

    Attributes:
        name: Of the task, for records.
        distortion: See `data.distortions`.
        canvas: Height and width of the rendered images, in pixels.
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
        """Reads the source and renders its validation and test images."""
        dataset = load_rendered(
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
        rendered, poses = lax.map(
            lambda digits: self.distortion(*digits, self.canvas),
            (jnp.stack(keys), normalise(split.images[jnp.stack([chosen, partner])])),
        )
        return Batch(
            jnp.moveaxis(rendered[..., 0], 0, -1),
            split.labels[chosen] + split.labels[partner],
            jnp.moveaxis(poses, 0, 1),
        )
