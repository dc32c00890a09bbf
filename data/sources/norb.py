"""smallNORB, as prepared by TFDS, with what is known of each image.

Fifty toys of five categories from 18 azimuths, 9 elevations, under 6 lights, each by two cameras
(LeCun, Huang and Bottou, 2004). TFDS counts azimuths and elevations by their numbers.
"""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from data.sources import preparation
from data.sources.resizing import middle_square

NAME = "smallnorb"
_CAMERAS = ("image", "image2")
_NUMBERS = ("label_category", "instance", "label_azimuth", "label_elevation", "label_lighting")


class Pairs(NamedTuple):
    """Stereo pairs and what is known of each.

    Attributes:
        images: `[count, size, size, 2]`, uint8.
        category: Label, below 5.
        instance: Number of the toy among the ten of its category; those of the training and of the
            test split are others.
        azimuth: Number of it, in steps of 20 degrees from 0.
        elevation: Number of it, in steps of 5 degrees from 30.
        light: Its number, below 6.
    """

    images: np.ndarray
    category: np.ndarray
    instance: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    light: np.ndarray


def read(folder: pathlib.Path, split: str, size: int) -> Pairs:
    """Reads a whole split, in the order in which it is stored.

    Args:
        folder: Of prepared data, see `data.sources.opening.data_folder`.
        split: "train" or "test".
        size: Height and width that images are brought to, in pixels.

    Raises:
        UserError: if it is not prepared, or is something else than smallNORB.
    """
    builder = preparation.find_prepared(NAME, folder)
    if builder is None:
        builder = preparation.prepare_public(NAME, folder)
    features: Any = builder.info.features
    missing = [name for name in (*_CAMERAS, *_NUMBERS) if name not in features]
    if missing or split not in builder.info.splits:
        lack = ", ".join(missing) or f"split {split}"
        raise UserError(
            f"dataset.name={NAME!r}: the prepared data in {builder.data_path} has no {lack}; "
            "delete that folder and prepare it again"
        )

    def convert(example):
        pair = np.concatenate([np.asarray(example[name]) for name in _CAMERAS], axis=-1)
        return middle_square(pair, size), [int(example[name]) for name in _NUMBERS]

    images, numbers = zip(*preparation.read_examples(builder, split, convert), strict=True)
    return Pairs(np.stack(images), *np.array(numbers, np.int32).T)
