"""Random spatial distortions of images, on the device, each with the transform that it applied.

Every distortion maps canvas coordinates to the coordinates of the image that lies on the canvas,
both normalised to [-1, 1] without `align_corners`: it is the sampling transform that rendered the
canvas. A spatial transformer that undoes it predicts the inverse map, up to the frame in which it
likes its digits. The ranges are those of Jaderberg et al. (2015), section 4.1 and appendix A.4.
"""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from common.limits import Limits, check_fields, check_method, whole
from stn.sampling import sample
from stn.transforms import Affine, Projective, ThinPlateSpline, Transform

# Far above any distortion that leaves something to see: a factor, and pixels.
_MAX_SCALE = 1000.0
_MAX_NOISE = 10_000.0
# A spline is a matrix with a row and a column for each of its points.
_MAX_POINTS = 20

Images = Float[Array, "batch height width channels"]
Canvas = Float[Array, "batch canvas canvas channels"]

CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], np.float32)
"""Corners of an image, (x, y), clockwise from the top left as displayed."""


class Distorted(NamedTuple):
    """Images after a distortion, and the parameters of the map from canvas to image."""

    images: Canvas
    theta: Float[Array, "batch parameters"]


@runtime_checkable
class Distortion(Protocol):
    """Interface of a distortion, as a generated dataset needs it."""

    @property
    def transform(self) -> Transform:
        """The family that its parameters belong to."""
        ...

    def __call__(self, key: Key[Array, ""], images: Images, canvas: int) -> Distorted:
        """Renders each image on a blank square canvas of that many pixels, each in its own way.

        Raises:
            ValueError: if the images are not square.
        """
        ...


def check_distortion(name: str, distortion: Any) -> None:
    """Raises a `UserError` if it is no distortion, or has a value that none can have."""
    check_method(name, distortion, "__call__", "key", "images", "canvas")
    if hasattr(distortion, "check"):
        distortion.check(f"{name}.")


def check_scales(distortion: Any, prefix: str) -> None:
    """Checks `smallest_scale` and `largest_scale` of a part of a configuration.

    Args:
        distortion: Has the two.
        prefix: What messages have before a field's name.

    Raises:
        UserError: if they are no range of scales.
    """
    check_fields(
        distortion,
        prefix,
        smallest_scale=Limits(1.0 / _MAX_SCALE, _MAX_SCALE),
        largest_scale=Limits(1.0 / _MAX_SCALE, _MAX_SCALE),
    )
    if distortion.smallest_scale > distortion.largest_scale:
        raise UserError(
            f"{prefix}smallest_scale={distortion.smallest_scale}: must be at most "
            f"{prefix}largest_scale={distortion.largest_scale}"
        )


@dataclasses.dataclass
class AffineDistortion:
    """Shear and rotation about the image's centre, isotropic scale, and a place on the canvas.

    Attributes:
        rotation: Largest angle either way, in degrees.
        smallest_scale: Of the image on the canvas, against its own size.
        largest_scale: Likewise.
        anywhere: Whether the scaled, unrotated frame goes to a random place within the canvas; a
            frame larger than the canvas, and every frame without this, goes to its centre.
        shear: Largest slant along x before the rotation, either way, in pixels per row.
    """

    rotation: float = 0.0
    smallest_scale: float = 1.0
    largest_scale: float = 1.0
    anywhere: bool = False
    shear: float = 0.0

    def check(self, prefix: str) -> None:
        """Raises a `UserError` for a value that no distortion can have."""
        check_fields(self, prefix, rotation=Limits(0.0, 360.0), shear=Limits(0.0, _MAX_SCALE))
        check_scales(self, prefix)

    @property
    def transform(self) -> Affine:
        """Affine maps."""
        return Affine()

    def __call__(self, key: Key[Array, ""], images: Images, canvas: int) -> Distorted:
        """Slants, turns, scales and places images; see `Distortion`."""
        angle_key, scale_key, place_key = jax.random.split(key, 3)
        count, size = len(images), _side(images)
        limit = np.deg2rad(self.rotation)
        angle = jax.random.uniform(angle_key, (count,), minval=-limit, maxval=limit)
        scale = _scales(scale_key, count, self.smallest_scale, self.largest_scale) * size / canvas
        place = jnp.zeros((count, 2))
        if self.anywhere:
            room = jnp.maximum(1.0 - scale, 0.0)[:, None]
            place = room * jax.random.uniform(place_key, (count, 2), minval=-1.0, maxval=1.0)
        cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
        across, down = jnp.stack([cos, sin], -1), jnp.stack([-sin, cos], -1)
        if self.shear:
            # A key of its own, so that distortions without a shear stay as they were.
            slant_key = jax.random.fold_in(key, 3)
            slant = jax.random.uniform(slant_key, (count,), minval=-self.shear, maxval=self.shear)
            across = across + slant[:, None] * down
        linear = jnp.stack([across, down], axis=-2)
        shift = -jnp.sum(linear * place[:, None, :], axis=-1, keepdims=True)
        theta = jnp.concatenate([linear, shift], axis=-1).reshape(count, 6)
        return render(images, self.transform, theta, canvas)


@dataclasses.dataclass
class Placement:
    """A random place on the canvas in whole pixels, so that every pixel keeps its value."""

    @property
    def transform(self) -> Affine:
        """Affine maps."""
        return Affine()

    def __call__(self, key: Key[Array, ""], images: Images, canvas: int) -> Distorted:
        """Places images; see `Distortion`.

        Raises:
            ValueError: if they are larger than the canvas.
        """
        count, size = len(images), _side(images)
        if size > canvas:
            raise ValueError(f"canvas={canvas}: images of {size}x{size} pixels do not fit")
        corner = jax.random.randint(key, (count, 2), 0, canvas - size + 1)
        ratio = canvas / size
        # The image's centre, at corner + size / 2, goes to zero.
        shift = ratio - (2.0 * corner + size) / size
        one, zero = jnp.full((count,), ratio), jnp.zeros(count)
        theta = jnp.stack([one, zero, shift[:, 0], zero, one, shift[:, 1]], axis=-1)
        return Distorted(place(images[:, None], corner[:, None], canvas), theta)


@dataclasses.dataclass
class ProjectiveDistortion:
    """A scale about the centre, then each corner of the frame moved by Gaussian noise.

    Attributes:
        smallest_scale: Of the image on the canvas, against its own size.
        largest_scale: Likewise.
        corner_noise: Standard deviation of each corner's x and y, in pixels.
    """

    smallest_scale: float = 0.75
    largest_scale: float = 1.0
    corner_noise: float = 5.0

    def check(self, prefix: str) -> None:
        """Raises a `UserError` for a value that no distortion can have."""
        check_fields(self, prefix, corner_noise=Limits(0.0, _MAX_NOISE))
        check_scales(self, prefix)

    @property
    def transform(self) -> Projective:
        """Homographies."""
        return Projective()

    def __call__(self, key: Key[Array, ""], images: Images, canvas: int) -> Distorted:
        """Tilts images; see `Distortion`."""
        scale_key, noise_key = jax.random.split(key)
        count, size = len(images), _side(images)
        scale = _scales(scale_key, count, self.smallest_scale, self.largest_scale) * size / canvas
        noise = jax.random.normal(noise_key, (count, 4, 2)) * (2.0 * self.corner_noise / canvas)
        theta = corners_to(scale[:, None, None] * CORNERS + noise)
        return render(images, self.transform, theta, canvas)


@dataclasses.dataclass
class ElasticDistortion:
    """A scale about the centre, then a thin-plate spline through randomly moved control points.

    Attributes:
        smallest_scale: Of the image on the canvas, against its own size.
        largest_scale: Likewise.
        control_noise: Standard deviation of each control point's x and y, in pixels.
        points_per_side: Control points along each axis of the canvas.
    """

    smallest_scale: float = 0.75
    largest_scale: float = 1.0
    control_noise: float = 1.5
    points_per_side: int = 4

    def check(self, prefix: str) -> None:
        """Raises a `UserError` for a value that no distortion can have."""
        check_fields(
            self,
            prefix,
            control_noise=Limits(0.0, _MAX_NOISE),
            points_per_side=whole(2, _MAX_POINTS),
        )
        check_scales(self, prefix)

    @property
    def transform(self) -> ThinPlateSpline:
        """Thin-plate splines."""
        return ThinPlateSpline(self.points_per_side)

    def __call__(self, key: Key[Array, ""], images: Images, canvas: int) -> Distorted:
        """Bends images; see `Distortion`."""
        scale_key, noise_key = jax.random.split(key)
        count, size = len(images), _side(images)
        scale = _scales(scale_key, count, self.smallest_scale, self.largest_scale) * size / canvas
        controls = jnp.asarray(self.transform.control_points, jnp.float32)
        noise = jax.random.normal(noise_key, (count, *controls.shape))
        # A spline reproduces affine maps, so one spline does the noise and the scale.
        moved = controls + noise * (2.0 * self.control_noise / canvas)
        theta = moved / scale[:, None, None] - controls
        return render(images, self.transform, theta.reshape(count, -1), canvas)


def render(
    images: Images, transform: Transform, theta: Float[Array, "batch parameters"], canvas: int
) -> Distorted:
    """Reads every pixel of a square canvas from the images, through a transform."""
    return Distorted(sample(images, transform.grid(theta, (canvas, canvas))), theta)


def place(
    images: Float[Array, "batch objects height width channels"],
    corners: Int[Array, "batch objects 2"],
    canvas: int,
) -> Canvas:
    """Adds images up on blank canvases, in whole pixels.

    Written as two small matrix products, for moving each image of a batch by its own offset is
    slow on every kind of device.

    Args:
        images: Any number for each canvas.
        corners: (x, y) of each image's first pixel on the canvas.
        canvas: Height and width, in pixels.
    """
    images, corners = jnp.asarray(images), jnp.asarray(corners)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        images = images.astype(jnp.float32)  # sums of bytes would wrap around
    rows = jnp.arange(canvas)[:, None]

    def selector(offset, size):
        return (rows == offset[..., None, None] + jnp.arange(size)).astype(images.dtype)

    y = selector(corners[..., 1], images.shape[2])
    x = selector(corners[..., 0], images.shape[3])
    exact = lax.Precision.HIGHEST
    stretched = jnp.einsum("bkrh,bkhwc->bkrwc", y, images, precision=exact)
    return jnp.einsum("bkrwc,bksw->brsc", stretched, x, precision=exact)


def corners_to(corners: Float[Array, "batch 4 2"]) -> Float[Array, "batch 8"]:
    """Parameters of the `Projective` maps that render an image with its `CORNERS` at given points.

    Args:
        corners: (x, y) of each corner on the canvas, in the order of `CORNERS`.
    """
    inverse = _adjugate(square_to_quadrilateral(corners)).reshape(-1, 9)
    return inverse[:, :8] / inverse[:, 8:]


def square_to_quadrilateral(
    corners: Float[Array, "batch 4 2"],
) -> Float[Array, "batch 3 3"]:
    """The homographies that send the corners of [-1, 1] x [-1, 1] to the given ones.

    Args:
        corners: (x, y) of the images of (-1, -1), (1, -1), (1, 1) and (-1, 1), in this order.

    Returns:
        Matrices up to a factor; not finite where three corners lie on a line.
    """
    corners = jnp.asarray(corners, jnp.float32)
    first, second, third, fourth = (corners[:, k] for k in range(4))
    sum_of_corners = first - second + third - fourth
    right, below = second - third, fourth - third
    area = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
    g = (sum_of_corners[:, 0] * below[:, 1] - sum_of_corners[:, 1] * below[:, 0]) / area
    h = (right[:, 0] * sum_of_corners[:, 1] - right[:, 1] * sum_of_corners[:, 0]) / area
    along = second - first + g[:, None] * second
    down = fourth - first + h[:, None] * fourth
    one = jnp.ones_like(g)
    unit = jnp.stack(
        [
            jnp.concatenate([along, g[:, None]], axis=-1),
            jnp.concatenate([down, h[:, None]], axis=-1),
            jnp.concatenate([first, one[:, None]], axis=-1),
        ],
        axis=-1,
    )
    # From [-1, 1] to the unit square.
    halve = jnp.array([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    return jnp.matmul(unit, halve, precision=lax.Precision.HIGHEST)


def _adjugate(matrix):
    """The inverse of 3x3 matrices, but for a factor."""
    rows = [matrix[:, k] for k in range(3)]
    columns = [jnp.cross(rows[(k + 1) % 3], rows[(k + 2) % 3]) for k in range(3)]
    return jnp.stack(columns, axis=-1)


def _side(images: Images) -> int:
    """Height and width of square images, in pixels."""
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(f"images of {height}x{width} pixels: only square ones are distorted")
    return height


def _scales(key, count, smallest, largest):
    return jax.random.uniform(key, (count,), minval=smallest, maxval=largest)
