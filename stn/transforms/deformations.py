"""Transforms that bend: thin-plate splines and dense displacement fields."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from cnn import validation
from cnn.arrays import widened
from stn.sampling import sample
from stn.sampling.grids import identity_grid
from stn.transforms.affine import Grid, Points, SentPoints, Theta, checked, checked_points


@dataclasses.dataclass(frozen=True)
class ThinPlateSpline:
    """A thin-plate spline (Bookstein, 1989) through displaced control points.

    Parameters are the displacements of the control points, which lie on a regular grid over
    [-1, 1] x [-1, 1]: all (x, y) row by row from the top left. Zero is the identity, exactly.
    Jaderberg et al. (2015) use 4 x 4 points.

    Attributes:
        points_per_side: Control points along each axis, at least 2.
    """

    points_per_side: int = 4

    def __post_init__(self):
        # A system of as many equations as there are points is solved for the whole grid.
        validation.check(self, points_per_side=validation.whole(2, 64))

    @property
    def num_parameters(self) -> int:
        """Two for each control point."""
        return 2 * self.points_per_side**2

    @property
    def identity(self) -> np.ndarray:
        """No displacement."""
        return np.zeros(self.num_parameters)

    @property
    def control_points(self) -> np.ndarray:
        """`[points, 2]`, their (x, y) at rest."""
        side = (self.points_per_side, self.points_per_side)
        return identity_grid(side, align_corners=True).reshape(-1, 2)

    def basis(self, points: np.ndarray) -> np.ndarray:
        """Weight of each control point's displacement at each point.

        Args:
            points: `[..., 2]`, normalised.

        Returns:
            `[..., points_per_side^2]` in float64; rows sum to 1.
        """
        flat = points.reshape(-1, 2)
        kernel = _kernel(flat, self.control_points)
        features = np.concatenate([kernel, np.ones((len(flat), 1)), flat], axis=1)
        return (features @ self._solution).reshape(*points.shape[:-1], -1)

    @property
    def _solution(self) -> np.ndarray:
        """`[points + 3, points]`: from displacements to the spline's coefficients."""
        controls = self.control_points
        count = len(controls)
        kernel = _kernel(controls, controls)
        affine = np.concatenate([np.ones((count, 1)), controls], axis=1)
        system = np.block([[kernel, affine], [affine.T, np.zeros((3, 3))]])
        return np.linalg.inv(system)[:, :count]

    def grid(self, theta: Theta, size: Sequence[int], *, align_corners: bool = False) -> Grid:
        """Sampling points `[batch, height, width, 2]` of an output of `size`."""
        theta = widened(checked(self, theta))
        rest = identity_grid(size, align_corners=align_corners)
        # Everything but the displacements is known when the program is built.
        basis = jnp.asarray(self.basis(rest), theta.dtype)
        displacements = theta.reshape(theta.shape[0], self.points_per_side**2, 2)
        bend = jnp.einsum("hwp,npd->nhwd", basis, displacements, precision=lax.Precision.HIGHEST)
        return jnp.asarray(rest, theta.dtype) + bend

    def apply(self, theta: Theta, points: Points) -> SentPoints:
        """Sends each spline's own points through it, `[batch, points, 2]`."""
        theta, points = checked_points(self, theta, points)
        displacements = theta.reshape(theta.shape[0], self.points_per_side**2, 2)
        solution = jnp.asarray(self._solution, points.dtype)
        exact = lax.Precision.HIGHEST
        coefficients = jnp.einsum("kc,ncd->nkd", solution, displacements, precision=exact)
        controls = jnp.asarray(self.control_points, points.dtype)
        squared = jnp.sum((points[:, :, None] - controls) ** 2, axis=-1)
        kernel = squared * jnp.log(jnp.where(squared > 0, squared, 1.0))
        features = jnp.concatenate([kernel, jnp.ones_like(points[..., :1]), points], axis=-1)
        return points + jnp.einsum("npk,nkd->npd", features, coefficients, precision=exact)


def _kernel(points: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """r^2 log(r^2) between all pairs, with its limit 0 at r = 0."""
    squared = np.sum((points[:, None] - controls[None]) ** 2, axis=-1)
    return squared * np.log(np.where(squared > 0, squared, 1.0))


@dataclasses.dataclass(frozen=True)
class DisplacementField:
    """A displacement (x, y) for every cell of a coarse or fine field, read bilinearly.

    With `squarings`, the field is a velocity that is followed for one unit of time by scaling and
    squaring (Arsigny et al., 2006): the map is then smooth and invertible, and the negative
    velocity is its inverse.

    Attributes:
        size: (height, width) of the field; any output size is read from it.
        squarings: How often the scaled velocity is composed with itself; 0 takes the field as the
            displacement itself.
    """

    size: tuple[int, int]
    squarings: int = 0

    def __post_init__(self):
        size = validation.each(validation.whole(), least=2, most=2)
        # Each squaring halves the velocity; float32 has no more halves.
        validation.check(self, size=size, squarings=validation.whole(0, 64))

    @property
    def num_parameters(self) -> int:
        """Two for each cell."""
        return 2 * self.size[0] * self.size[1]

    @property
    def identity(self) -> np.ndarray:
        """No displacement."""
        return np.zeros(self.num_parameters)

    def grid(self, theta: Theta, size: Sequence[int], *, align_corners: bool = False) -> Grid:
        """Sampling points `[batch, height, width, 2]` of an output of `size`."""
        field = self._displacements(theta, align_corners)
        points = jnp.asarray(identity_grid(size, align_corners=align_corners), field.dtype)
        return points + _read(
            field, jnp.broadcast_to(points, (field.shape[0], *points.shape)), align_corners
        )

    def _displacements(self, theta, align_corners):
        """The field of displacements `[batch, *size, 2]`, velocities followed to their end."""
        theta = widened(checked(self, theta))
        field = theta.reshape(theta.shape[0], *self.size, 2) / 2.0**self.squarings
        rest = jnp.asarray(identity_grid(self.size, align_corners=align_corners), field.dtype)
        for _ in range(self.squarings):
            field = field + _read(field, rest + field, align_corners)
        return field

    def apply(self, theta: Theta, points: Points, *, align_corners: bool = False) -> SentPoints:
        """Sends each map's own points through it, `[batch, points, 2]`."""
        theta, points = map(widened, checked_points(self, theta, points))
        return points + _read(self._displacements(theta, align_corners), points, align_corners)


def _read(field, grid, align_corners):
    return sample(field, grid, padding="border", align_corners=align_corners)
