"""Pictures of solid bodies: ray tracing of ellipsoids, boxes and cylinders, lit by one light.

Every primitive is a unit solid (the unit sphere, the cube [-1, 1]^3, the cylinder x^2 + y^2 <= 1,
|z| <= 1) under an affine map. A ray is brought into the frame of the unit solid, where it enters at
a distance of a closed form; affine maps keep distances along a ray in units of its direction, so
the nearest of all is what the camera sees. Surfaces are matt (Lambert's cosine law) and of one
grey, without shadows that bodies cast.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Grey levels: of the ground behind a body, and of its surface where no light falls and at most.
BACKGROUND, AMBIENT, DIFFUSE = 0.15, 0.3, 0.7
# In place of zero: directions that no axis is parallel to spare the divisions a case of their own.
_EPS = 1e-7

Point = Sequence[Float[Array, ""]] | Float[Array, "3"]
Distances = Float[Array, "height width"]
Rays = Sequence[Distances]
"""x, y and z of directions, apart: XLA makes one loop over all rays of it."""
Maps = Float[np.ndarray | Array, "solids 3 4"]


class Solids(NamedTuple):
    """A body: primitives of three kinds, each by the map `[A | b]` that makes it a unit solid.

    A point p of the scene is at A p + b in the frame of the unit solid.

    Attributes:
        ellipsoids: Of unit spheres.
        boxes: Of cubes [-1, 1]^3.
        cylinders: Of x^2 + y^2 <= 1 within |z| <= 1.
    """

    ellipsoids: Maps
    boxes: Maps
    cylinders: Maps


class Entry(NamedTuple):
    """Entry of rays into a unit solid.

    Attributes:
        distance: In units of the rays' directions; infinity for rays that miss.
        normal: x, y and z of the surface's normal there, of any length.
    """

    distance: Distances
    normal: tuple[Distances, Distances, Distances]


class Camera(NamedTuple):
    """A pinhole camera that looks at the origin, z pointing up in its pictures.

    Attributes:
        position: Not on the z axis.
        half_width: Tangent of half the angle that a picture shows.
    """

    position: Float[Array, "3"]
    half_width: Float[Array, ""] | float


def placed(
    centre: Sequence[float],
    half_sizes: Sequence[float],
    rotation: Float[np.ndarray, "3 3"] | None = None,
) -> Float[np.ndarray, "3 4"]:
    """The map of a unit solid that is stretched along its axes, turned, and moved.

    Args:
        centre: Where it goes.
        half_sizes: Half its extent along each of its own axes, above 0.
        rotation: Has these axes as columns; None leaves them along the scene's.
    """
    axes = np.eye(3) if rotation is None else rotation
    linear = axes.T / np.asarray(half_sizes, np.float64)[:, None]
    return np.concatenate([linear, -linear @ np.asarray(centre, np.float64)[:, None]], axis=1)


def enter_sphere(origin: Point, towards: Rays) -> Entry:
    """Distances at which rays from a point enter the unit sphere, and normals there.

    |o + t d|^2 = 1 is a t^2 + 2 b t + c = 0, of which the smaller root counts.

    Args:
        origin: Outside of the solid.
        towards: Directions of any length but zero; distances are in units of it.
    """
    a, b = _dot(towards, towards), _dot(towards, origin)
    root = b**2 - a * (_dot(origin, origin) - 1.0)
    distance = (-b - jnp.sqrt(jnp.maximum(root, 0.0))) / a
    return _entry(distance, root >= 0.0, _along(origin, distance, towards))


def enter_box(origin: Point, towards: Rays) -> Entry:
    """Distances at which rays enter the cube [-1, 1]^3, and normals; see `enter_sphere`.

    A ray is in the cube where it is between all three pairs of planes.
    """
    ends = [_between_planes(start, step) for start, step in zip(origin, towards, strict=True)]
    distance = jnp.maximum(jnp.maximum(ends[0][0], ends[1][0]), ends[2][0])
    leave = jnp.minimum(jnp.minimum(ends[0][1], ends[1][1]), ends[2][1])
    normal = [
        jnp.where(near == distance, -jnp.sign(step), 0.0)
        for (near, _), step in zip(ends, towards, strict=True)
    ]
    return _entry(distance, distance <= leave, normal)


def enter_cylinder(origin: Point, towards: Rays) -> Entry:
    """Distances at which rays enter the cylinder of radius 1, and normals; see `enter_sphere`.

    A ray is in the cylinder where it is within the round wall and between its two ends.
    """
    a = jnp.maximum(_dot(towards[:2], towards[:2]), _EPS**2)
    b = _dot(towards[:2], origin[:2])
    root = b**2 - a * (_dot(origin[:2], origin[:2]) - 1.0)
    half = jnp.sqrt(jnp.maximum(root, 0.0))
    low, high = _between_planes(origin[2], towards[2])
    wall = (-b - half) / a
    distance = jnp.maximum(wall, low)
    is_wall, (x, y, _) = wall > low, _along(origin, distance, towards)
    normal = [
        jnp.where(is_wall, x, 0.0),
        jnp.where(is_wall, y, 0.0),
        jnp.where(is_wall, 0.0, -jnp.sign(towards[2])),
    ]
    leave = jnp.minimum((half - b) / a, high)
    return _entry(distance, (root >= 0.0) & (distance <= leave), normal)


def _between_planes(origin, towards):
    """Where rays enter and leave the slab from -1 to 1 along an axis."""
    safe = jnp.where(jnp.abs(towards) < _EPS, _EPS, towards)
    ends = (-1.0 - origin) / safe, (1.0 - origin) / safe
    return jnp.minimum(*ends), jnp.maximum(*ends)


def _entry(distance, hit, normal):
    return Entry(jnp.where(hit & (distance > 0.0), distance, jnp.inf), tuple(normal))


def _dot(first, second):
    return sum(a * b for a, b in zip(first, second, strict=True))


def _along(origin, distance, towards):
    return [start + distance * step for start, step in zip(origin, towards, strict=True)]


def shade(
    solids: Solids, camera: Camera, light: Point, size: int, smoothing: int = 2
) -> Float[Array, "size size"]:
    """A picture of a body, in grey levels in [0, 1].

    Args:
        solids: The body; see `stacked` for fields with more room than primitives.
        camera: Outside of the body.
        light: Unit vector towards the light, which is far away.
        size: Height and width of the picture, in pixels.
        smoothing: A pixel is the mean over so many rays along each of its axes.
    """
    directions = rays(camera, size * smoothing)
    seen = jnp.full_like(directions[0], jnp.inf), jnp.full_like(directions[0], BACKGROUND)
    for maps, enter in zip(solids, (enter_sphere, enter_box, enter_cylinder), strict=True):
        maps = jnp.asarray(maps)
        if len(maps):
            seen = jax.lax.fori_loop(
                0,
                jnp.sum(jnp.any(maps != 0.0, axis=(1, 2))),
                lambda number, seen, maps=maps, enter=enter: _in_front(
                    seen, maps[number], enter, camera.position, directions, light
                ),
                seen,
            )
    return seen[1].reshape(size, smoothing, size, smoothing).mean(axis=(1, 3))


def _in_front(seen, each, enter, position, directions, light):
    """Distances and grey levels that are seen once a primitive is there too."""
    nearest, grey = seen
    linear, shift = each[:, :3], each[:, 3]
    origin = [_dot(row, position) + b for row, b in zip(linear, shift, strict=True)]
    distance, normal = enter(origin, [_dot(row, directions) for row in linear])
    # Normals go by the transposed map.
    normal = [_dot(column, normal) for column in linear.T]
    cosine = _dot(normal, light) * jax.lax.rsqrt(_dot(normal, normal) + _EPS)
    lit = AMBIENT + DIFFUSE * jnp.maximum(cosine, 0.0)
    return jnp.minimum(distance, nearest), jnp.where(distance < nearest, lit, grey)


def rays(camera: Camera, size: int) -> tuple[Distances, Distances, Distances]:
    """Directions from a camera through the centres of its pixels, from the top left: x, y, z."""
    forward = -camera.position / jnp.linalg.norm(camera.position)
    right = jnp.cross(forward, jnp.array([0.0, 0.0, 1.0]))
    right = right / jnp.linalg.norm(right)
    up = jnp.cross(right, forward)
    offsets = camera.half_width * ((2.0 * jnp.arange(size) + 1.0) / size - 1.0)
    across, down = offsets[None, :], offsets[:, None]
    x, y, z = (forward[k] + across * right[k] - down * up[k] for k in range(3))
    return x, y, z


def stacked(bodies: Sequence[Solids]) -> Solids:
    """Several bodies in one, each field with an axis for them in front.

    A body with fewer primitives of a kind than another has zeros in their places, which are passed
    over.
    """

    def filled(maps, count):
        room = np.zeros((count, 3, 4), np.float32)
        room[: len(maps)] = maps
        return room

    return Solids(
        *(
            np.stack([filled(maps, max(map(len, kind))) for maps in kind])
            for kind in zip(*bodies, strict=True)
        )
    )
