"""Digits as solid bodies: extruded to volumes, turned about any axis, anywhere in a larger volume.

Appendix A.3 of Jaderberg et al. (2015). An extruded digit is the product of the image and of a slab
along z, so a voxel of the canvas is read from the image, by two of its digit coordinates, and from
the slab, by the third: exactly what a trilinear read of the digit's volume gives, without it.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from common.limits import MIN_POSITIVE, SEED, Limits, check_fields, whole
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset
from data.distortions import check_scales
from data.sources.load import DatasetConfig
from data.tasks.rendering import check_source, load_rendered
from stn.sampling import sample
from stn.transforms import Affine

# Volumes that are rendered at once for the fixed splits; one of 60^3 takes 10 MB meanwhile.
_CHUNK = 50
# A body thicker than this fills every volume.
_MAX_PIXELS = 10_000.0


def _few_source_images() -> DatasetConfig:
    return DatasetConfig(
        train="train[:55000]", validation="train[55000:55500]", test="test[:2000]", shift=0
    )


@dataclasses.dataclass
class ExtrudedConfig:
    """Volumes `[canvas, canvas, canvas, 1]`, each with one extruded digit.

    The poses are the 12 parameters of the affine map from the canvas to the digit's own cube, whose
    sides are as long as the image's, and in whose middle the slab lies.

    The validation and test volumes lie in memory, a byte for each voxel: 216 MB for a thousand of
    60^3. The source's splits are therefore short by default.

    Attributes:
        name: Of the task, for records.
        canvas: Depth, height and width of the volumes, in voxels.
        thickness: Of the digits along their own z axis, in voxels before scaling.
        rotation: Largest angle about an axis of any direction, either way, in degrees.
        smallest_scale: Of the digit on the canvas, against its own size.
        largest_scale: Likewise.
        anywhere: Whether the scaled, unrotated cube goes to a random place within the canvas; one
            larger than the canvas, and every one without this, goes to its centre.
        seed: Of the fixed validation and test volumes.
        source: Images of one channel, and their splits.
    """

    name: str = "mnist extruded"
    canvas: int = 60
    thickness: float = 8.0
    rotation: float = 45.0
    smallest_scale: float = 1.0
    largest_scale: float = 1.5
    anywhere: bool = True
    seed: int = 0
    source: DatasetConfig = dataclasses.field(default_factory=_few_source_images)

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        check_source(self.source)
        check_fields(
            self,
            "dataset.",
            canvas=whole(1),
            thickness=Limits(MIN_POSITIVE, _MAX_PIXELS),
            rotation=Limits(0.0, 360.0),
            seed=SEED,
        )
        check_scales(self, "dataset.")

    def load(self, data_dir: str | None) -> Dataset:
        """Reads the source and renders its validation and test volumes."""
        return load_rendered(self, Affine(dims=3), data_dir, axes=3, chunk=_CHUNK)

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, " batch"]
    ) -> Batch:
        """The chosen images as bodies in a volume."""
        images = normalise(split.images[chosen])
        theta = self.poses(key, chosen.size, images.shape[1])
        volumes = extrude(images, theta, self.canvas, self.thickness)
        return Batch(volumes, split.labels[chosen], theta[:, None])

    def poses(self, key: Key[Array, ""], count: int, size: int) -> Float[Array, "count 12"]:
        """Random maps from the canvas to digits of so many pixels: parameters of `Affine(3)`."""
        axis_key, angle_key, scale_key, place_key = jax.random.split(key, 4)
        limit = np.deg2rad(self.rotation)
        angle = jax.random.uniform(angle_key, (count,), minval=-limit, maxval=limit)
        # A Gaussian has no preferred direction.
        turn = rotation(jax.random.normal(axis_key, (count, 3)), angle)
        scale = jax.random.uniform(
            scale_key, (count, 1), minval=self.smallest_scale, maxval=self.largest_scale
        )
        scale = scale * size / self.canvas
        place = jnp.zeros((count, 3))
        if self.anywhere:
            room = jnp.maximum(1.0 - scale, 0.0)
            place = room * jax.random.uniform(place_key, (count, 3), minval=-1.0, maxval=1.0)
        linear = turn / scale[:, :, None]
        shift = -jnp.sum(linear * place[:, None, :], axis=-1, keepdims=True)
        return jnp.concatenate([linear, shift], axis=-1).reshape(count, 12)


def rotation(
    axis: Float[Array, "batch 3"], angle: Float[Array, " batch"]
) -> Float[Array, "batch 3 3"]:
    """Matrices of rotations about axes of any length but zero, (x, y, z), by angles in radians.

    Rodrigues' formula: 1 + sin(angle) K + (1 - cos(angle)) K^2, where K v is the cross product of
    the axis and v.
    """
    x, y, z = (axis / jnp.linalg.norm(axis, axis=-1, keepdims=True)).T
    zero = jnp.zeros_like(x)
    rows = ([zero, -z, y], [z, zero, -x], [-y, x, zero])
    cross = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    square = jnp.matmul(cross, cross, precision=jax.lax.Precision.HIGHEST)
    sin, cos = (function(angle)[:, None, None] for function in (jnp.sin, jnp.cos))
    return jnp.eye(3) + sin * cross + (1.0 - cos) * square


def extrude(
    images: Float[Array, "batch size size channels"],
    theta: Float[Array, "batch 12"],
    canvas: int,
    thickness: float,
) -> Float[Array, "batch canvas canvas canvas channels"]:
    """Reads every voxel of a canvas from extruded images.

    Args:
        images: Square.
        theta: Maps from the canvas to the cube around each body, see `stn.transforms.Affine`.
        canvas: Depth, height and width, in voxels.
        thickness: Of the bodies along their z axis, in pixels of the images.
    """
    points = Affine(dims=3).grid(theta, (canvas, canvas, canvas))
    # Voxels within the slab are 1, and a linear read fades out over the next one.
    depth = jnp.abs(points[..., 2:]) * (images.shape[1] / 2.0)
    slab = jnp.clip((thickness + 1.0) / 2.0 - depth, 0.0, 1.0)
    return sample(images, points[..., :2]) * slab
