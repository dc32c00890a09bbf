"""Test images of another dataset than the one that a model was trained on."""

import dataclasses
import functools
import pathlib

from common.errors import UserError
from common.limits import shown
from data.dataset import Dataset, Split
from data.sources.decoded import opened
from data.sources.load import DatasetConfig, is_of_digits
from data.sources.opening import data_folder, open_source, public_name
from data.sources.slicing import check_split


def load_elsewhere(dataset: Dataset, name: str, data_dir: str | None = None) -> Dataset:
    """A dataset with the test images of another one, which a model was not trained on.

    Args:
        dataset: The one that the model was trained on.
        name: Of a dataset with a split "test"; see `data.sources.load.DatasetConfig`.
        data_dir: See `data.sources.load.load`.

    Returns:
        The other one's name and test images, with the training and validation images of the first.

    Raises:
        UserError: if the other one cannot be read, or has images of another shape or other classes.
    """
    test, class_names = _test_images(name, data_folder(data_dir), dataset.image_shape)
    if class_names and dataset.class_names and class_names != dataset.class_names:
        raise UserError(
            f"{name} has the classes {shown(class_names)}, and {dataset.name} has "
            f"{shown(dataset.class_names)}; they must be the same"
        )
    if test.images.shape[1:] != dataset.image_shape:
        raise UserError(
            f"{name} has images of shape {test.images.shape[1:]}, and the model is for those of "
            f"{dataset.name}, {dataset.image_shape}"
        )
    if test.labels.min() < 0:
        raise UserError(f"{name} has test images without a label (label {test.labels.min()})")
    if test.labels.max() >= dataset.num_classes:
        raise UserError(
            f"{name} has labels up to {test.labels.max()}, and the model knows the "
            f"{dataset.num_classes} classes of {dataset.name}"
        )
    return dataclasses.replace(
        dataset,
        name=public_name(name),
        test=test,
        novel=None,
        pose_transform=None,
        generator=None,
        is_of_digits=is_of_digits(name),
    )


@functools.lru_cache(maxsize=1)
def _test_images(
    name: str, folder: pathlib.Path, shape: tuple[int, ...]
) -> tuple[Split, tuple[str, ...]]:
    """Reads test images once for all models, with names of their classes; affNIST has 320,000."""
    source = open_source(name, folder, shape=shape)
    check_split(source, name, source.elsewhere, f"its split {source.elsewhere!r}")
    images, labels = source.read(source.elsewhere)
    return Split(opened(images, folder, DatasetConfig.memory_limit), labels), source.class_names
