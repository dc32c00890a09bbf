"""Conversion of the examples of prepared TFDS data to images and labels."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from common.errors import UserError
from data.labels import whole_numbers
from data.memory import check_fits
from data.sources import preparation, slicing
from data.sources.resizing import middle_square

# Features that hold the image's channels and the label, where they are not "image" and "label".
FEATURES: dict[str, tuple[tuple[str, ...], str]] = {
    "smallnorb": (("image", "image2"), "label_category"),
}
# Up to so many channels the first axis of an image may be taken for one of channels.
_FEW = 4


def open_prepared(name: str, builder: Any, size: int) -> slicing.Source:
    """Images and labels of prepared data.

    Args:
        name: The dataset's.
        builder: Of its data, which is prepared.
        size: Height and width that images are brought to; 0 leaves them as they are.

    Raises:
        UserError: if its features are not an image and a label.
    """
    image_keys, label_key = _keys(name, builder)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}

    def convert(example):
        images = [_as_image(example[key], name, key) for key in image_keys]
        if size:
            images = [middle_square(image, size) for image in images]
        return images, example[label_key]

    def read(spec):
        if size:
            count = sum(sizes.values()) and slicing.count(slicing.resolve(spec, sizes))
            check_fits((count, size, size), f"dataset.size={size}")
        return _stack(name, preparation.read_examples(builder, spec, convert))

    num_classes = getattr(builder.info.features[label_key], "num_classes", None)
    return slicing.Source(num_classes, lambda spec: sizes, read)


def _keys(name: str, builder: Any) -> tuple[tuple[str, ...], str]:
    """The features with the image's channels and with the label."""
    features, supervised = builder.info.features, builder.info.supervised_keys
    choices = [FEATURES.get(name, (("image",), "label"))]
    if isinstance(supervised, tuple) and len(supervised) == 2:
        choices.append(((supervised[0],), supervised[1]))
    for image_keys, label_key in choices:
        ranks = [_rank(features, key) for key in image_keys]
        if all(rank in (2, 3) for rank in ranks) and _rank(features, label_key) is not None:
            return image_keys, label_key
    wanted, label = choices[0]
    there = ", ".join(f"{key} {feature.shape}" for key, feature in sorted(features.items()))
    raise UserError(
        f"dataset.name={name!r} has no features {', '.join(wanted)} and {label} of one image and "
        f"one number; it has {there}; name its own in FEATURES in data/sources/examples.py"
    )


def _rank(features: Any, key: Any) -> int | None:
    """The number of axes of a feature; None if it is no array, or is not there."""
    feature: Any = features[key] if isinstance(key, str) and key in features else None
    arrays = (tfds.features.Tensor, tfds.features.Image)
    shape: Any = feature.shape if isinstance(feature, arrays) else None
    return None if shape is None else len(shape)


def _as_image(image: Any, name: str, key: str) -> np.ndarray:
    """`[height, width, channels]`; grey images may come without their channel."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise UserError(
            f"dataset.name={name!r} has {image.dtype} images of shape {image.shape} in its feature "
            f"{key}; only uint8 images of height, width and channels are supported"
        )
    if image.shape[0] <= _FEW < min(image.shape[1:]):
        raise UserError(
            f"dataset.name={name!r} has images of shape {image.shape} in its feature {key}; their "
            "channels come first, and only images of height, width and channels are supported"
        )
    return image


def _stack(name: str, examples: list[tuple[list[np.ndarray], Any]]) -> slicing.Images:
    """One array from the examples; several image features become channels, as smallNORB's pair."""
    if not examples:
        return np.zeros((0, 0, 0, 0), np.uint8), np.zeros(0, np.int32)
    shapes = {image.shape for images, _ in examples for image in images}
    channels = sorted({shape[2] for shape in shapes})
    if len(channels) > 1:
        raise UserError(
            f"dataset.name={name!r} has images of {' and '.join(map(str, channels))} channels"
        )
    if len(shapes) > 1:
        raise UserError(
            f"dataset.name={name!r} has images of {len(shapes)} different sizes; "
            "set dataset.size to bring them to one"
        )
    features = zip(*(images for images, _ in examples), strict=True)
    images = np.concatenate([np.stack(feature) for feature in features], axis=-1)
    try:
        labels = np.array([label for _, label in examples])
    except ValueError as error:  # lists of several lengths
        raise UserError(f"dataset.name={name!r} has several labels for an image") from error
    return images, whole_numbers(labels, f"dataset.name={name!r}")
