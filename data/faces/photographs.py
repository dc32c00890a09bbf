"""Photographs of faces from TFDS, each brought to where a rendered face has its eyes.

A photograph is kept as 48x48 pixels of grey in the coordinates of `data.faces.parts`: the eyes,
where they lie on the average of the dataset, are 11 pixels apart and 5 above the middle. CelebA is
aligned by its eyes. LFW is not, and its places are an estimate, from the proportions of the 100
faces in `skimage.data.lfw_subset` and from where they are usually cropped. Around the 32x32 pixels
of a model's input is room for moved and turned ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import PIL.Image
from jaxtyping import Array, Float
from scipy import ndimage

from common.errors import UserError, first_line
from data.faces.parts import FACE_SLOTS, LEFT_EYE, RIGHT_EYE
from data.sources import preparation, slicing
from data.sources.opening import data_folder

SIZE = 48
# Half the width and height of a part's patch, in pixels, and how wide its soft edge is.
HALF_PART = (4.0, 3.0)
FEATHER = 2.0
# Standard deviation of the blur that is left where parts are cut out, in pixels.
_BLUR = 4.0


class Layout(NamedTuple):
    """Places of the parts on the average photograph of a dataset, and its splits.

    Attributes:
        parts: x and y in pixels from the left upper corner of the photograph: left eye, right eye
            (as displayed), nose, mouth.
        splits: For training, validation and testing, in TFDS's slicing notation.
    """

    parts: tuple[tuple[float, float], ...]
    splits: tuple[str, str, str]

    @property
    def scale(self) -> float:
        """Pixels of the photograph in one of a face."""
        eyes = self.parts[RIGHT_EYE][0] - self.parts[LEFT_EYE][0]
        return float(eyes / (FACE_SLOTS[RIGHT_EYE, 0] - FACE_SLOTS[LEFT_EYE, 0]))

    @property
    def middle(self) -> tuple[float, float]:
        """Point of the photograph that becomes the middle of the face: x and y in pixels."""
        x = (self.parts[LEFT_EYE][0] + self.parts[RIGHT_EYE][0]) / 2.0
        return x, self.parts[LEFT_EYE][1] - float(FACE_SLOTS[LEFT_EYE, 1]) * self.scale

    @property
    def homes(self) -> np.ndarray:
        """`[4, 2]`: where the parts lie in a face, in its pixels from its middle."""
        return ((np.array(self.parts) - self.middle) / self.scale).astype(np.float32)


LAYOUTS = {
    # Averages of its landmarks; the nose's is two pixels above the tip.
    "celeb_a": Layout(
        parts=((69.5, 111.0), (107.7, 111.0), (88.6, 133.0), (88.6, 152.0)),
        splits=("train", "validation", "test"),
    ),
    # People may be in several of these splits, for LFW has no others.
    "lfw": Layout(
        parts=((103.0, 113.0), (147.0, 113.0), (125.0, 143.0), (125.0, 166.0)),
        splits=("train[:80%]", "train[80%:90%]", "train[90%:]"),
    ),
}


def read_photographs(
    name: str, data_dir: str | None, *, most: tuple[int | None, int | None, int | None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photographs of each split and, as a second channel, what is left without their parts.

    Args:
        name: Of one of `LAYOUTS`.
        data_dir: See `data.sources.load.load`.
        most: So many of the first photographs of each split at the most; None for all.

    Returns:
        Training, validation and test photographs, `[count, 48, 48, 2]`, uint8.

    Raises:
        UserError: if the dataset is neither prepared nor can be.
    """
    folder, layout = data_folder(data_dir), LAYOUTS[name]
    builder = preparation.find_prepared(name, folder) or preparation.prepare_public(name, folder)
    face, splits = crop(layout), []
    info: Any = builder.info
    sizes = {split: stored.num_examples for split, stored in info.splits.items()}
    if "image" not in info.features:
        raise UserError(f"dataset.name={name!r}: the prepared data has no feature image")

    def convert(example):
        try:
            return face(example["image"])
        except ValueError as error:
            raise UserError(f"dataset.name={name!r}: {first_line(error)}") from error

    for spec, count in zip(layout.splits, most, strict=True):
        try:
            there = not sizes or slicing.count(slicing.resolve(spec, sizes))
        except ValueError as error:
            raise UserError(
                f"dataset.name={name!r}: the prepared data has no {spec}; {error}"
            ) from error
        faces = preparation.read_examples(builder, spec, convert, most=count) if there else []
        if not faces:
            raise UserError(f"dataset.name={name!r}: the prepared data has nothing in {spec}")
        splits.append(with_parts_cut(np.stack(faces), layout.homes))
    return splits[0], splits[1], splits[2]


def crop(layout: Layout) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a photograph `[height, width, 1 or 3]` to its face, `[48, 48]`, both uint8.

    The filter is linear and widens where it shrinks, so that fine patterns are averaged. The
    function raises a `ValueError` for a photograph of another type, or too small for its face.
    """
    (x, y), half = layout.middle, SIZE / 2.0 * layout.scale
    box = (x - half, y - half, x + half, y + half)

    def face(photograph):
        height, width, *channels = photograph.shape
        fits = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
        if photograph.dtype != np.uint8 or channels not in ([], [1], [3]) or not fits:
            raise ValueError(
                f"a {photograph.dtype} photograph of shape {photograph.shape} is not one to cut "
                f"pixels {box[0]:.0f} to {box[2]:.0f} and rows {box[1]:.0f} to {box[3]:.0f} from"
            )
        image = PIL.Image.fromarray(photograph[..., 0] if channels == [1] else photograph)
        image = image.convert("L")
        return np.asarray(image.resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR, box=box))

    return face


def with_parts_cut(faces: np.ndarray, homes: np.ndarray) -> np.ndarray:
    """Faces and, as a second channel, the same with a blur where their parts are.

    Args:
        faces: `[count, 48, 48]`, uint8.
        homes: `[4, 2]`, x and y of the parts in pixels from the middle.

    Returns:
        `[count, 48, 48, 2]`, uint8.
    """
    along = np.arange(SIZE) - (SIZE - 1) / 2.0
    pixels = np.stack(np.meshgrid(along, along), axis=-1)
    weight = np.max([window(pixels - home) for home in homes], axis=0)
    values = faces.astype(np.float32)
    blurred = ndimage.gaussian_filter(values, (0.0, _BLUR, _BLUR), mode="nearest")
    cut = values + weight * (blurred - values)
    return np.stack([faces, np.round(cut).astype(np.uint8)], axis=-1)


def window(offsets: Float[Array, "*points 2"]) -> Float[Array, "*points"]:
    """Weight of a part's patch at points about its middle, in pixels: from 1 to 0."""
    within = (np.array(HALF_PART, np.float32) + FEATHER / 2.0 - jnp.abs(offsets)) / FEATHER
    return jnp.prod(jnp.clip(within, 0.0, 1.0), axis=-1)
