"""Families of spatial transforms: from a vector of parameters to a grid of sampling points.

A transform is a small frozen dataclass. It knows how many parameters it has, the parameters of its
identity, and the grid of any output size. Families that are closed under composition also compose
and invert parameters: `compose(first, second)` is the map that sends a point through `first` and
then through `second`. All maps go from output to input in normalised coordinates, so the grid of
`compose(first, second)` is that of `first`, sent through `second`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, same_type, widened
from stn.sampling.grids import affine_grid

Theta = Num[ArrayLike, "batch parameters"]
Parameters = Float[Array, "batch parameters"]
Grid = Float[Array, "batch *out dims"]
Matrix = Float[Array, "batch rows columns"]
Points = Num[ArrayLike, "batch points dims"]
SentPoints = Float[Array, "batch points dims"]


@runtime_checkable
class Transform(Protocol):
    """Interface of a family of transforms, as a spatial transformer needs it."""

    @property
    def num_parameters(self) -> int:
        """Length of the parameter vector."""
        ...

    @property
    def identity(self) -> np.ndarray:
        """`[num_parameters]`, the parameters that leave an image as it is."""
        ...

    def grid(self, theta: Theta, size: Sequence[int], *, align_corners: bool = False) -> Grid:
        """Sampling points `[batch, *size, dims]` of an output of `size`."""
        ...

    def apply(self, theta: Theta, points: Points) -> SentPoints:
        """Sends any points through the maps, `[batch, points, dims]`."""
        ...


@runtime_checkable
class ComposableTransform(Transform, Protocol):
    """A family whose maps may be composed and inverted without leaving it."""

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """The map through `first` and then through `second`."""
        ...

    def inverse(self, theta: Theta) -> Parameters:
        """The map back."""
        ...


def checked(transform: Any, theta: Theta) -> Parameters:
    """Parameters as a floating-point array.

    Raises:
        ValueError: if they are not `[batch, num_parameters]`.
    """
    array = as_float(theta)
    if array.ndim != 2 or array.shape[1] != transform.num_parameters:
        raise ValueError(
            f"theta of shape {array.shape}: {transform} takes [batch, {transform.num_parameters}]"
        )
    return array


def checked_pair(transform: Any, first: Theta, second: Theta) -> tuple[Parameters, Parameters]:
    """Parameters of as many maps, of one type; raises as `checked` does."""
    one, other = same_type(checked(transform, first), checked(transform, second))
    if one.shape != other.shape:
        raise ValueError(f"theta of shapes {one.shape} and {other.shape}: must be as many maps")
    return one, other


def checked_points(
    transform: Any, theta: Theta, points: Points, *, dims: int = 2
) -> tuple[Parameters, SentPoints]:
    """Parameters and points of one type.

    Raises:
        ValueError: if points are not `[batch, points, dims]`, or of another batch than theta.
    """
    theta, array = same_type(checked(transform, theta), points)
    if array.ndim != 3 or array.shape[::2] != (theta.shape[0], dims):
        raise ValueError(
            f"points of shape {array.shape}: must be [{theta.shape[0]}, points, {dims}] for theta "
            f"of shape {theta.shape}"
        )
    return theta, array


class _AffineFamily:
    """Transforms that are affine maps; a family defines its matrices."""

    def matrix(self, theta: Theta) -> Matrix:
        """The maps as matrices `[batch, dims, dims + 1]`, rows in the order x, y(, z)."""
        raise NotImplementedError

    def grid(self, theta: Theta, size: Sequence[int], *, align_corners: bool = False) -> Grid:
        """Sampling points `[batch, *size, dims]` of an output of `size`."""
        return affine_grid(self.matrix(theta), size, align_corners=align_corners)

    def apply(self, theta: Theta, points: Points) -> SentPoints:
        """Sends each map's own points through it, `[batch, points, dims]`."""
        dims = getattr(self, "dims", 2)
        theta, points = checked_points(self, theta, points, dims=dims)
        matrix, points = same_type(self.matrix(theta), points)
        exact = jax.lax.Precision.HIGHEST
        linear = jnp.einsum("nij,npj->npi", matrix[:, :, :-1], points, precision=exact)
        return linear + matrix[:, None, :, -1]


@dataclasses.dataclass(frozen=True)
class Translation(_AffineFamily):
    """Shift by (x, y)."""

    num_parameters: int = dataclasses.field(default=2, init=False)

    @property
    def identity(self) -> np.ndarray:
        """No shift."""
        return np.zeros(2)

    def matrix(self, theta: Theta) -> Matrix:
        """[[1, 0, x], [0, 1, y]]."""
        x, y = checked(self, theta).T
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        return _rows([one, zero, x], [zero, one, y])

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """First, then second."""
        first, second = checked_pair(self, first, second)
        return first + second

    def inverse(self, theta: Theta) -> Parameters:
        """The shift back."""
        return -checked(self, theta)


@dataclasses.dataclass(frozen=True)
class Attention(_AffineFamily):
    """Isotropic scale and shift (s, x, y): equation 2 of Jaderberg et al. (2015)."""

    num_parameters: int = dataclasses.field(default=3, init=False)

    @property
    def identity(self) -> np.ndarray:
        """Scale 1, no shift."""
        return np.array([1.0, 0.0, 0.0])

    def matrix(self, theta: Theta) -> Matrix:
        """[[s, 0, x], [0, s, y]]."""
        scale, x, y = checked(self, theta).T
        zero = jnp.zeros_like(x)
        return _rows([scale, zero, x], [zero, scale, y])

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """First, then second."""
        first, second = checked_pair(self, first, second)
        scale = second[:, :1]
        return jnp.concatenate(
            [scale * first[:, :1], scale * first[:, 1:] + second[:, 1:]], axis=-1
        )

    def inverse(self, theta: Theta) -> Parameters:
        """The map back; infinite where the scale is zero."""
        theta = checked(self, theta)
        scale = theta[:, :1]
        return jnp.concatenate([1.0 / scale, -theta[:, 1:] / scale], axis=-1)


@dataclasses.dataclass(frozen=True)
class FixedScaleAttention(_AffineFamily):
    """Shift (x, y) of a window of fixed size: appendix A.6 of Jaderberg et al. (2015).

    Attributes:
        scale: Of the window, against the image; no window but that of scale 1 shows all of it.
    """

    scale: float = 0.5
    num_parameters: int = dataclasses.field(default=2, init=False)

    def __post_init__(self):
        validation.check(self, scale=validation.number(0.0, 1e3, beyond=True))

    @property
    def identity(self) -> np.ndarray:
        """The window in the middle."""
        return np.zeros(2)

    def matrix(self, theta: Theta) -> Matrix:
        """[[scale, 0, x], [0, scale, y]]."""
        theta = checked(self, theta)
        scale = jnp.full_like(theta[:, :1], self.scale)
        return Attention().matrix(jnp.concatenate([scale, theta], axis=-1))


@dataclasses.dataclass(frozen=True)
class Similarity(_AffineFamily):
    """Rotation, isotropic scale and shift (a, b, x, y), with a = s cos(angle), b = s sin(angle)."""

    num_parameters: int = dataclasses.field(default=4, init=False)

    @property
    def identity(self) -> np.ndarray:
        """Scale 1, angle 0, no shift."""
        return np.array([1.0, 0.0, 0.0, 0.0])

    def matrix(self, theta: Theta) -> Matrix:
        """[[a, -b, x], [b, a, y]]."""
        a, b, x, y = checked(self, theta).T
        return _rows([a, -b, x], [b, a, y])

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """First, then second."""
        first, second = checked_pair(self, first, second)
        return _similarity_parameters(_product(self.matrix(second), self.matrix(first)))

    def inverse(self, theta: Theta) -> Parameters:
        """The map back; infinite where the scale is zero."""
        return _similarity_parameters(_affine_inverse(self.matrix(theta)))


def _similarity_parameters(matrix):
    return jnp.stack([matrix[:, 0, 0], matrix[:, 1, 0], matrix[:, 0, 2], matrix[:, 1, 2]], axis=-1)


@dataclasses.dataclass(frozen=True)
class Affine(_AffineFamily):
    """The matrix's own entries, row by row: 6 parameters in images, 12 in volumes.

    Equation 1 of Jaderberg et al. (2015).

    Attributes:
        dims: 2 for images, 3 for volumes.
    """

    dims: int = 2

    def __post_init__(self):
        validation.check(self, dims=validation.one_of(2, 3))

    @property
    def num_parameters(self) -> int:
        """Entries of the matrix."""
        return self.dims * (self.dims + 1)

    @property
    def identity(self) -> np.ndarray:
        """The identity matrix without its last row."""
        return np.eye(self.dims, self.dims + 1).reshape(-1)

    def matrix(self, theta: Theta) -> Matrix:
        """The entries in their places."""
        theta = checked(self, theta)
        return theta.reshape(theta.shape[0], self.dims, self.dims + 1)

    def compose(self, first: Theta, second: Theta) -> Parameters:
        """First, then second."""
        first, second = checked_pair(self, first, second)
        return _product(self.matrix(second), self.matrix(first)).reshape(first.shape)

    def inverse(self, theta: Theta) -> Parameters:
        """The map back; not finite where the matrix is singular."""
        theta = checked(self, theta)
        return _affine_inverse(self.matrix(theta)).reshape(theta.shape)


@dataclasses.dataclass(frozen=True)
class ExponentialAffine(_AffineFamily):
    """Affine maps as the matrix exponential of 6 entries: always invertible, never a reflection."""

    num_parameters: int = dataclasses.field(default=6, init=False)

    @property
    def identity(self) -> np.ndarray:
        """The generator zero."""
        return np.zeros(6)

    def matrix(self, theta: Theta) -> Matrix:
        """exp([[t1, t2, t3], [t4, t5, t6], [0, 0, 0]]) without its last row."""
        theta = widened(checked(self, theta))
        generator = jnp.pad(theta.reshape(theta.shape[0], 2, 3), ((0, 0), (0, 1), (0, 0)))
        return jax.vmap(jax.scipy.linalg.expm)(generator)[:, :2]

    def inverse(self, theta: Theta) -> Parameters:
        """The generator's negative."""
        return -checked(self, theta)


@dataclasses.dataclass(frozen=True)
class BoundedAffine(_AffineFamily):
    """Rotation, scale, stretch, shear and shift within limits; zero is the identity exactly.

    The six parameters, in this order: rotation, scale, stretch of x against y, shear, shift in x,
    shift in y. Each goes through tanh, and from there to its limit, the factors as logarithms.

    Attributes:
        largest_rotation: Radians, either way.
        largest_scale: Factor of zooming out and, inverted, of zooming in; at least 1.
        largest_stretch: Ratio of the axes' scales, at least 1.
        largest_shear: Tangent of the shear's angle.
        largest_shift: In normalised units; 1 is half the image.
    """

    largest_rotation: float = np.pi
    largest_scale: float = 2.0
    largest_stretch: float = 1.0
    largest_shear: float = 0.0
    largest_shift: float = 1.0
    num_parameters: int = dataclasses.field(default=6, init=False)

    def __post_init__(self):
        factor, limit = validation.number(1.0, 1e3), validation.number(0.0, 1e3)
        validation.check(
            self,
            largest_rotation=limit,
            largest_scale=factor,
            largest_stretch=factor,
            largest_shear=limit,
            largest_shift=limit,
        )

    @property
    def identity(self) -> np.ndarray:
        """All zero."""
        return np.zeros(6)

    def matrix(self, theta: Theta) -> Matrix:
        """Rotation @ shear @ scales, and the shift."""
        angle, scale, stretch, shear, x, y = jnp.tanh(checked(self, theta)).T
        angle = self.largest_rotation * angle
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        shear = self.largest_shear * shear
        scale = jnp.log(self.largest_scale) * scale
        stretch = 0.5 * jnp.log(self.largest_stretch) * stretch
        x_scale, y_scale = jnp.exp(scale + stretch), jnp.exp(scale - stretch)
        return _rows(
            [cos * x_scale, (cos * shear - sin) * y_scale, self.largest_shift * x],
            [sin * x_scale, (sin * shear + cos) * y_scale, self.largest_shift * y],
        )


def _rows(*rows):
    """`[batch, rows, columns]` from lists of `[batch]` entries."""
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _square(matrix):
    """Appends the row 0 ... 0 1."""
    dims = matrix.shape[-2]
    last = jnp.zeros((matrix.shape[0], 1, dims + 1), matrix.dtype).at[:, :, -1].set(1.0)
    return jnp.concatenate([matrix, last], axis=-2)


def _product(left, right):
    product = jnp.matmul(_square(left), _square(right), precision=jax.lax.Precision.HIGHEST)
    return product[:, :-1]


def _affine_inverse(matrix):
    return jnp.linalg.inv(_square(matrix))[:, :-1]
