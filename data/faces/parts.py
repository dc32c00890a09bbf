"""Rendered faces: what is random of each, and how a face with any parts at any places is rendered.

An eye, a nose or a mouth is a sum of Gaussian blobs that integrates to zero. So a part fades into
the skin wherever it is pasted, without a seam (feathered), pasting one does not change the mean of
the image (mean-matched), and cutting one out again is a subtraction, which is exact. The two eyes
of a face are the same, and each is its own mirror image.

Half of the faces show their parts in the negative. So the images of every arrangement have the same
mean, and no weighing of single pixels tells arrangements apart; random poses alone leave enough for
that (an AUROC of 0.92 against scrambles).

Coordinates of a face are pixels from its middle, x to the right and y downwards, before its pose.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from stn.transforms import Similarity

SIZE = 32
LEFT_EYE, RIGHT_EYE, NOSE, MOUTH, NOTHING, CLUTTER = range(6)
# Half the width and height that a part takes, in pixels before its pose.
HALF_PART = (3.0, 3.0)
# Where a part lies in a face, by part; nose and mouth keep clear of each other and of the eyes.
FACE_SLOTS = np.array([[-5.5, -5.0], [5.5, -5.0], [0.0, 0.5], [0.0, 7.0]], np.float32)
# The corners of a square: as far apart as four parts can lie and still be within the image.
SQUARE_SLOTS = np.array([[-6.0, -6.0], [6.0, -6.0], [-6.0, 6.0], [6.0, 6.0]], np.float32)


class Face(NamedTuple):
    """All that is random of an image.

    Attributes:
        blobs: For each kind of thing that can be pasted: x, y and standard deviations of Gaussians
            about its middle, in pixels, and their heights. The kinds are the four parts, nothing,
            and pieces of clutter.
        slots: The places of parts, in pixels.
        pose: Parameters of the similarity from image to face (see `stn.transforms.Similarity`).
        head: Half its width and height in pixels, the grey of its skin and of the background.
        clutter: Where clutter lies around the parts, in pixels of the image from its middle.
        noise: Of the pixels.
        choice: In [0, 1): which of the arrangements of its class the image has.
    """

    blobs: Float[Array, "*batch kinds blobs 5"]
    slots: Float[Array, "*batch 4 2"]
    pose: Float[Array, "*batch 4"]
    head: Float[Array, "*batch 4"]
    clutter: Float[Array, "*batch pieces 2"]
    noise: Float[Array, "*batch size size"]
    choice: Float[Array, "*batch"]


def pose_of(x, y, angle, log_scale) -> Float[Array, "4"]:
    """The similarity from an image to a face that was scaled, turned, then moved.

    Args:
        x: Move of the face, in pixels.
        y: Likewise.
        angle: Of the face, in radians.
        log_scale: Logarithm of the face's scale.
    """
    a, b = jnp.exp(-log_scale) * jnp.cos(angle), jnp.exp(-log_scale) * jnp.sin(angle)
    half = SIZE / 2
    return jnp.stack([a, -b, -(a * x + b * y) / half, (b * x - a * y) / half])


def face_points(pose: Float[Array, "4"]) -> Float[Array, "2 pixels"]:
    """Place of each pixel of an image in the face: x and y in pixels from its middle."""
    return Similarity().grid(pose[None], (SIZE, SIZE)).reshape(-1, 2).T * (SIZE / 2)


def _parts(eye_width, pupil, brow, length, nostrils, width, smile) -> np.ndarray:
    """`[3, 3, 5]`: the blobs of an eye, a nose and a mouth; arguments in [-1, 1]."""
    white, pupil = 1.5 + 0.15 * eye_width, 0.75 + 0.1 * pupil
    eye = [
        (0.0, 0.4, white, 0.9, 0.8),
        (0.0, 0.4, pupil, pupil, -1.5),
        (0.0, -1.5 - 0.2 * brow, white - 0.1, 0.55, -0.4),
    ]
    apart = 1.0 + 0.2 * nostrils
    nose = [
        (0.0, -0.6, 0.7, 1.2 + 0.15 * length, 0.8),
        (-apart, 1.4, 0.65, 0.55, -0.7),
        (apart, 1.4, 0.65, 0.55, -0.7),
    ]
    apart, bend = 1.3 + 0.2 * width, 0.4 * smile
    mouth = [
        (-apart, -bend, 0.8, 0.6, -0.75),
        (0.0, bend, 0.8, 0.6, -0.75),
        (apart, -bend, 0.8, 0.6, -0.75),
    ]
    return np.array([eye, nose, mouth], np.float32)


# All of it is linear in the arguments, and one product compiles faster than many small sums.
_AVERAGE = _parts(*np.zeros(7))
_SLOPES = np.stack([_parts(*one) - _AVERAGE for one in np.eye(7)])


def make_blobs(
    looks: Float[Array, "8"], clutter: Float[Array, "pieces 15"], contrast: float
) -> Float[Array, "kinds blobs 5"]:
    """The parts of one face, and clutter.

    Args:
        looks: How the parts look, each number in [-1, 1]: the eyes' width, pupils and brows, the
            nose's length and nostrils, the mouth's width and its smile; the last one's sign is that
            of the parts' contrast.
        clutter: Likewise, of each piece.
        contrast: Of the parts, as a grey level.
    """
    varied = jnp.tensordot(looks[:7], _SLOPES, 1, precision=lax.Precision.HIGHEST)
    parts = (varied + _AVERAGE)[np.array([0, 0, 1, 2])].at[..., 4].multiply(jnp.sign(looks[7]))
    nothing = np.array([0.0, 0.0, 1.0, 1.0, 0.0], np.float32) * np.ones((1, 3, 1), np.float32)
    kinds = jnp.concatenate([parts, nothing, _clutter(clutter)])
    return _mean_matched(kinds * np.array([1.0, 1.0, 1.0, 1.0, contrast], np.float32))


def _clutter(numbers):
    """Blobs as large and as strong as those of parts, at random."""
    place, width, height = jnp.split(numbers.reshape(-1, 3, 5), (2, 4), axis=-1)
    return jnp.concatenate([1.8 * place, 0.75 + 0.2 * width, 0.68 * jnp.sign(height)], axis=-1)


def _mean_matched(blobs):
    """One wide blob more for each kind, so that all of them together integrate to zero."""
    volume = jnp.sum(blobs[..., 2] * blobs[..., 3] * blobs[..., 4], axis=-1)
    wide_x, wide_y = 1.6, 1.5
    place = jnp.broadcast_to(np.array([0.0, 0.0, wide_x, wide_y]), (*volume.shape, 4))
    height = -volume / (wide_x * wide_y)
    wide = jnp.concatenate([place, height[..., None]], axis=-1)
    return jnp.concatenate([blobs, wide[..., None, :]], axis=-2)


def part_boxes(face: Face, centres: Float[Array, "4 2"]) -> Float[Array, "4 4"]:
    """Upright boxes around what is pasted: left, top, right, bottom, in pixels of the image."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * HALF_PART
    family = Similarity()
    points = (centres[:, None] + corners).reshape(1, -1, 2) / (SIZE / 2)
    image = family.apply(family.inverse(face.pose[None]), points).reshape(-1, 4, 2)
    pixels = (image + 1.0) * (SIZE / 2)
    return jnp.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=-1)


def render(
    face: Face, contents: Int[Array, "4"], centres: Float[Array, "4 2"]
) -> Float[Array, "size size 1"]:
    """The image of one face, in [0, 1].

    Args:
        face: Of one image.
        contents: What is pasted, as kinds of `Face.blobs`.
        centres: Where it is pasted, in pixels of the face.
    """
    points = face_points(face.pose)
    image = _head(face.head, points) + _blobs(face.blobs[contents], centres, points)
    if len(face.clutter):
        pieces = face.blobs[-len(face.clutter) :]
        image += _blobs(pieces, face.clutter, face_points(pose_of(0.0, 0.0, 0.0, 0.0)))
    return jnp.clip(image.reshape(SIZE, SIZE) + face.noise, 0.0, 1.0)[..., None]


def _head(head, points):
    """An ellipse of skin whose edge is two pixels wide."""
    half_width, half_height, skin, background = head
    x, y = points
    radius = jnp.sqrt((x / half_width) ** 2 + (y / half_height) ** 2)
    return background + (skin - background) * jax.nn.sigmoid((1.0 - radius) * half_width * 2.0)


def _blobs(blobs, centres, points):
    """Grey that things add to that of their ground; negative where they are dark."""
    middles = (centres[:, None] + blobs[..., :2]).reshape(-1, 2, 1)
    widths = blobs[..., 2:4].reshape(-1, 2, 1)
    x, y = points
    # Pixels last and one long axis of blobs: small last axes would keep CPUs from vectors.
    falloff = ((x - middles[:, 0]) / widths[:, 0]) ** 2 + ((y - middles[:, 1]) / widths[:, 1]) ** 2
    return jnp.sum(blobs[..., 4].reshape(-1, 1) * jnp.exp(-0.5 * falloff), axis=0)
