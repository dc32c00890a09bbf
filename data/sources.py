"""Where a dataset comes from: the bundled MNIST, prepared TFDS data, files, or a download.

`load` tries them in that order, so nothing reaches for a network while the data is at hand.
"""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging
from jaxtyping import Array, Int, Key

from data import affnist, idx, preparation, slicing
from data.augmentation import random_phase, random_shift
from data.batches import Batch, DeviceSplit, normalise
from data.bundled_mnist import BundledMnist
from data.errors import UserError, first_line
from data.folders import expand
from data.resizing import frame, middle_square
from data.subsets import first_images
from stn.transforms import Transform

# Features that hold the image's channels and the label, where they are not "image" and "label".
FEATURES: dict[str, tuple[tuple[str, ...], str]] = {
    "smallnorb": (("image", "image2"), "label_category"),
}
SYSTEM_FOLDER = pathlib.Path("/usr/share/datasets")
Reader = Callable[[str], slicing.Images]
"""From a split in TFDS's slicing notation to its images and labels."""


@dataclasses.dataclass
class DatasetConfig:
    """Which images a run sees.

    Attributes:
        name: "mnist" (bundled), the name of any TFDS dataset of images and labels, of a folder of
            IDX files, or "affnist" (see `data.affnist`).
        train: Split to learn from, in TFDS's slicing notation.
        validation: Split to choose and to watch by, carved from the training images.
        test: Split that only final figures come from.
        train_images: Learn from so many images of `train` only, nested and stratified (see
            `data.subsets`); 0 for all of them.
        shift: Training images are shifted by up to this many pixels along each axis.
        phases: Training images are shifted, in place of `shift`, by one of so many of the
            `phase_stride`^2 offsets below that stride (see `data.augmentation`); 0 for `shift`.
        phase_stride: Offsets along an axis, in pixels.
        distortion: Training images then go through it on a canvas of their own size; one of
            `data.distortions`, or None. Validation and test images stay as they are.
        size: Height and width that every image is brought to while it is read, in pixels: the
            largest square in its middle, resized. 0 leaves the images as they are, which must then
            all be of one size.
        pad: Blank pixels that every image then gets on each of its sides.
    """

    name: str = "mnist"
    train: str = "train[:55000]"
    validation: str = "train[55000:]"
    test: str = "test"
    train_images: int = 0
    shift: int = 2
    phases: int = 0
    phase_stride: int = 4
    distortion: Any = None
    size: int = 0
    pad: int = 0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        for name in ("train_images", "shift", "phases", "phase_stride", "size", "pad"):
            if getattr(self, name) < 0:
                raise UserError(f"dataset.{name}={getattr(self, name)}: must be at least 0")
        if self.phases > self.phase_stride**2:
            raise UserError(
                f"dataset.phases={self.phases}: a stride of {self.phase_stride} pixels has "
                f"{self.phase_stride**2} phases"
            )

    def load(self, data_dir: str | None) -> "Dataset":
        """The splits; see `load`."""
        return load(self, data_dir)

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen images, each shifted and distorted on its own."""
        images = split.images[chosen]
        if self.phases:
            images = random_phase(key, images, self.phases, self.phase_stride)
        else:
            images = random_shift(key, images, self.shift)
        images = normalise(images)
        if self.distortion is not None:
            canvas = images.shape[1]
            images = self.distortion(jax.random.fold_in(key, 1), images, canvas).images
        return Batch(images, split.labels[chosen])


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and what is known of them.

    Attributes:
        images: `[count, height, width, channels]` or, volumes, with a depth before; uint8.
        labels: `[count]`, int32.
        poses: `[count, objects, parameters]` of the transforms that painted the images, or None.
    """

    images: np.ndarray
    labels: np.ndarray
    poses: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def sample(self, count: int) -> "Split":
        """So many of the images, the same ones every time, drawn at random but kept in order.

        Not the first ones: many datasets are sorted, and MNIST's first 5,000 test images are
        easier than the others. All of them if there are no more.
        """
        if count >= len(self):
            return self
        order = np.random.default_rng(0).permutation(len(self))
        chosen = np.sort(order[:count])
        poses = None if self.poses is None else self.poses[chosen]
        return Split(self.images[chosen], self.labels[chosen], poses)

    @property
    def checksum(self) -> str:
        """SHA-256 of the pixels and labels, in order."""
        digest = hashlib.sha256(self.images.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The three splits of a run.

    Attributes:
        name: For records and messages.
        num_classes: Labels are below it.
        train: What batches are drawn from; a generated dataset paints its images of these.
        validation: As the model sees them.
        test: As the model sees them.
        pose_transform: The family of the splits' `poses`, where there are any.
        generator: What painted the images, for suites that paint more of their kind; None for
            stored images.
    """

    name: str
    num_classes: int
    train: Split
    validation: Split
    test: Split
    pose_transform: Transform | None = None
    generator: Any = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width, channels of what a model sees."""
        return self.test.images.shape[1:]


def load(config: DatasetConfig, data_dir: str | None = None) -> Dataset:
    """Reads the splits of a dataset into memory.

    Args:
        config: The dataset's name and splits.
        data_dir: Where prepared TFDS data lies; None takes `TFDS_DATA_DIR`, then TFDS's default.
            A folder named after the dataset, of IDX files or of affNIST's, is found there too.

    Returns:
        The splits, as uint8 images of one size.

    Raises:
        UserError: if the dataset, a split or what preparing it needs is missing, or data is
            damaged.
    """
    folder = data_folder(data_dir)
    read, num_classes = _open(config.name, folder, config.size)
    splits = {}
    for role in ("train", "validation", "test"):
        images, labels = _read(read, config.name, role, getattr(config, role))
        if role == "train" and config.train_images:
            chosen = first_images(labels, config.train_images)
            images, labels = images[chosen], labels[chosen]
        splits[role] = Split(frame(images, config.pad), labels)
    sizes = {split.images.shape[1:] for split in splits.values()}
    if len(sizes) > 1:
        raise UserError(f"{config.name}: test images have another size than training images")
    height, width = splits["test"].images.shape[1:3]
    if config.distortion is not None and height != width:
        raise UserError(
            f"dataset.distortion is for square images; those of {config.name} are {height}x{width}"
        )
    num_classes = num_classes or int(max(split.labels.max() for split in splits.values())) + 1
    return Dataset(config.name, num_classes, **splits)


def load_elsewhere(dataset: Dataset, name: str, data_dir: str | None = None) -> Dataset:
    """A dataset with the test images of another one, to ask a model about what it was not shown.

    Args:
        dataset: What the model was trained on.
        name: Of a dataset with a split "test"; see `DatasetConfig.name`.
        data_dir: See `load`.

    Returns:
        The other one's name and test images, with the training and validation images of the first.

    Raises:
        UserError: if the other one cannot be read, or has images of another shape or other classes.
    """
    test = _test_images(name, data_folder(data_dir))
    if test.images.shape[1:] != dataset.image_shape:
        raise UserError(
            f"{name} has images of shape {test.images.shape[1:]}, and the model is for those of "
            f"{dataset.name}, {dataset.image_shape}"
        )
    if test.labels.max() >= dataset.num_classes:
        raise UserError(
            f"{name} has labels up to {test.labels.max()}, and the model knows the "
            f"{dataset.num_classes} classes of {dataset.name}"
        )
    return dataclasses.replace(dataset, name=name, test=test, pose_transform=None, generator=None)


@functools.lru_cache(maxsize=1)
def _test_images(name: str, folder: pathlib.Path) -> Split:
    """Read once for all models; affNIST has 320,000."""
    return Split(*_read(_open(name, folder, 0)[0], name, "test", "test"))


def _read(read: Reader, name: str, role: str, spec: str) -> slicing.Images:
    try:
        images, labels = read(spec)
    except (AssertionError, ValueError, KeyError) as error:
        raise UserError(
            f"dataset.{role}={spec!r}: {name} has no such split ({first_line(error)})"
        ) from error
    if not len(labels):
        raise UserError(f"dataset.{role}={spec!r}: no image of {name} is in this split")
    return images, labels


def data_folder(data_dir: str | None) -> pathlib.Path:
    """The TFDS data directory: the argument, or `TFDS_DATA_DIR`, or `~/tensorflow_datasets`."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expand(chosen, "--data_dir")


def _open(name: str, folder: pathlib.Path, size: int) -> tuple[Reader, int | None]:
    """Finds a dataset; returns a reader of split specifications and the number of classes."""
    if name == "mnist":
        return _tfds_reader(name, preparation.prepare_bundled(BundledMnist, folder), size)
    builder = preparation.find_prepared(name, folder)
    if builder is not None:
        return _tfds_reader(name, builder, size)
    for candidate in (folder / name, SYSTEM_FOLDER / name, SYSTEM_FOLDER / _dashed(name)):
        if idx.holds_idx(candidate):
            logging.info("reading %s from the IDX files in %s", name, candidate)
            return idx.split_reader(candidate, size), None
    if name == "affnist":
        return affnist.split_reader(folder / name, size), 10
    return _tfds_reader(name, preparation.prepare_public(name, folder), size)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _tfds_reader(name: str, builder: Any, size: int) -> tuple[Reader, int]:
    image_keys, label_key = FEATURES.get(name, (("image",), "label"))
    features = builder.info.features
    if any(key not in features for key in (*image_keys, label_key)):
        raise UserError(
            f"dataset.name={name!r} has no features {', '.join(image_keys)} and {label_key}; "
            "name its own in FEATURES in data/sources.py"
        )

    def convert(example):
        return {
            key: middle_square(example[key], size) if size and key in image_keys else example[key]
            for key in (*image_keys, label_key)
        }

    def read(spec):
        examples = preparation.read_examples(builder, spec, convert)
        return _stack(name, examples, image_keys, label_key)

    return read, features[label_key].num_classes


def _stack(name, examples, image_keys, label_key):
    """One array from the examples; several image features become channels, as smallNORB's pair."""
    shapes = {example[key].shape for example in examples for key in image_keys}
    if len(shapes) > 1:
        raise UserError(
            f"dataset.name={name!r} has images of {len(shapes)} different sizes; "
            "set dataset.size to bring them to one"
        )
    if not examples:
        return np.zeros((0, 0, 0, 0), np.uint8), np.zeros(0, np.int32)
    images = np.concatenate(
        [np.stack([example[key] for example in examples]) for key in image_keys], axis=-1
    )
    if images.dtype != np.uint8 or images.ndim != 4:
        raise UserError(
            f"dataset.name={name!r} has {images.dtype} images of shape {images.shape[1:]}; "
            "only uint8 images of height, width and channels are supported"
        )
    return images, np.array([example[label_key] for example in examples], np.int32)
