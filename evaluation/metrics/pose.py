"""Pose error of spatial transformers: recovery of the pose that a generated image was given.

A transformer may prefer its digits in any frame: smaller, turned, off centre. It has to recover the
pose up to that frame, which is one for all images. So each of its sampling points is taken back, by
the transform that rendered the image, to the place in the undistorted image that it reads.
A transformer that undoes every distortion reads the same place whatever the distortion was; the
error is the distance from that place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stn.transforms import Affine, Transform

# Sampling points along each side, over which the error is taken.
_POINTS = 8
# Images whose points are taken back at once.
_CHUNK = 1000


class PoseErrors(NamedTuple):
    """Errors of images, in pixels of the undistorted images.

    Attributes:
        transformed: `[images, transformers]`, each transformer against the object it follows best.
        untransformed: `[images]`, of the identity in place of a transformer.
    """

    transformed: np.ndarray
    untransformed: np.ndarray


def pose_errors(
    grids: np.ndarray, poses: np.ndarray, transform: Transform, *, size: int
) -> PoseErrors:
    """Computes the root mean square distance of each image's sampling points from their median.

    Points are compared at the places of the undistorted image that they read.

    Args:
        grids: `[images, transformers, height, width, 2]`.
        poses: `[images, objects, parameters]`, the maps from rendered to undistorted images.
        transform: Their family.
        size: Height and width of the undistorted images, in pixels.
    """
    points = thin(grids)
    identity = Affine().grid(jnp.asarray(Affine().identity[None], jnp.float32), grids.shape[2:4])
    rest = np.broadcast_to(thin(np.asarray(identity)[None])[0], points[:, 0].shape)
    errors = [
        [
            _errors(points[:, transformer], poses[:, item], transform, size)
            for item in range(poses.shape[1])
        ]
        for transformer in range(points.shape[1])
    ]
    followed = [min(items, key=np.median) for items in errors]
    baseline = [_errors(rest, poses[:, item], transform, size) for item in range(poses.shape[1])]
    return PoseErrors(np.stack(followed, axis=1), min(baseline, key=np.median))


def thin(grids: np.ndarray) -> np.ndarray:
    """Chooses sampling points evenly from each grid: `[images, transformers, points, 2]`."""
    rows, columns = (
        np.unique(np.linspace(0, side - 1, _POINTS).round().astype(int))
        for side in grids.shape[2:4]
    )
    chosen = grids[:, :, rows][:, :, :, columns]
    return chosen.reshape(*grids.shape[:2], -1, 2)


def _errors(points, poses, transform: Transform, size: int) -> np.ndarray:
    """Computes errors `[images]` of `[images, points, 2]`; far points count as a width."""
    apply = jax.jit(transform.apply)
    read = np.concatenate(
        [
            np.asarray(apply(jnp.asarray(poses[start : start + _CHUNK]), jnp.asarray(chunk)))
            for start in range(0, len(points), _CHUNK)
            for chunk in [points[start : start + _CHUNK]]
        ]
    )
    usual = np.median(read, axis=0)
    distances = np.minimum(np.linalg.norm(read - usual, axis=-1) * size / 2.0, size)
    return np.sqrt(np.mean(distances**2, axis=-1))
