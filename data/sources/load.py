"""Datasets of stored images: their configuration, and their splits in memory or on disk.

`data.sources.opening` says where they come from.
"""

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from common.errors import UserError
from common.limits import SEED, Limits, check_fields
from data.augmentation import random_phase, random_shift
from data.batches import Batch, DeviceSplit, draw_balanced, normalise
from data.dataset import ROLES, Dataset, Split
from data.distortions import check_distortion
from data.labels import count_classes
from data.sources import slicing
from data.sources.decoded import FOLDER as DECODED
from data.sources.decoded import opened
from data.sources.decoding import CHANNELS, with_channels
from data.sources.opening import check_name, data_folder, open_source, public_name
from data.sources.resizing import frame
from data.subsets import first_images

# Default splits, and those of a dataset with no more training images than the first of them takes.
_TRAIN, _VALIDATION, _MOST = "train[:55000]", "train[55000:]", 55_000
# Datasets, with or without a configuration of TFDS behind a slash, whose labels are digits.
_OF_DIGITS = ("mnist", "mnist_corrupted", "affnist", "mnist_rotation_new", "svhn_cropped")
_FRACTIONS = {"train": "train[:90%]", "validation": "train[90%:]"}


@dataclasses.dataclass
class DatasetConfig:
    """The images of a run: their source, splits and augmentation.

    No image may be of two of the three splits.

    Attributes:
        name: "mnist" (bundled), the name of a folder of IDX files, of any TFDS dataset of images
            and labels, "affnist" (see `data.sources.affnist`), "mnist_rotation_new" (see
            `data.sources.rotated_mnist`), or "folder:PATH", a folder of image files (see
            `data.sources.folders`) or of IDX files, or a file of arrays (see
            `data.sources.arrays`).
        train: Split to learn from, in TFDS's slicing notation. Where this and `validation` are left
            as they are and there are no more than 55,000 training images, the first nine tenths;
            of files with a split "validation" both are whole splits.
        validation: Split to choose and to watch by, carved from the training images; then the last
            tenth.
        test: Split that only final figures come from.
        train_images: Learn from so many images of `train` only, nested and stratified (see
            `data.subsets`); 0 for all of them.
        balanced: Training images are drawn with replacement so that every class is as likely, in
            place of each image once an epoch.
        shift: Training images are shifted by up to this many pixels along each axis, within their
            frame; less than their height and width.
        phases: Training images are shifted, in place of `shift`, by one of so many of the
            `phase_stride`^2 offsets below that stride (see `data.augmentation`); 0 for `shift`.
        phase_stride: Offsets along an axis, in pixels; no more than their height and width.
        distortion: Training images then go through it on a canvas of their own size; one of
            `data.distortions`, or None. Validation and test images stay as they are.
        size: Height and width that every image is brought to while it is read, in pixels: the
            largest square in its middle, resized. 0 keeps the sizes of the images, which must then
            all be the same; files of images are brought to the size that most of them have.
        pad: Blank pixels that every image then gets on each of its sides.
        channels: 1 brings every image to grey, 3 to red, green and blue; 0 keeps what they have.
        split_seed: Of the stratified split of files that have no splits (see
            `data.sources.parts`).
        memory_limit: GB (10^9 bytes) that the images of a split may take in memory. Files of images
            that take more, or more than half of the machine's memory, are decoded once into the
            data directory and read from there; training is the same, bit for bit.
    """

    name: str = "mnist"
    train: str = _TRAIN
    validation: str = _VALIDATION
    test: str = "test"
    train_images: int = 0
    balanced: bool = False
    shift: int = 2
    phases: int = 0
    phase_stride: int = 4
    distortion: Any = None
    size: int = 0
    pad: int = 0
    channels: int = 0
    split_seed: int = 0
    memory_limit: float = 2.0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        for name in ("train_images", "shift", "phases", "phase_stride", "size", "pad"):
            if getattr(self, name) < 0:
                raise UserError(f"dataset.{name}={getattr(self, name)}: must be at least 0")
        if self.channels not in CHANNELS:
            raise UserError(f"dataset.channels={self.channels}: must be 0, 1 or 3")
        check_fields(self, "dataset.", split_seed=SEED, memory_limit=Limits())
        check_name(self.name)
        if self.distortion is not None:
            check_distortion("dataset.distortion", self.distortion)
        if self.phases > self.phase_stride**2:
            raise UserError(
                f"dataset.phases={self.phases}: a stride of {self.phase_stride} pixels has "
                f"{self.phase_stride**2} phases"
            )

    def load(self, data_dir: str | None) -> Dataset:
        """The splits; see `load`."""
        return load(self, data_dir)

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen images, each shifted and distorted on its own."""
        chosen = self.choose(key, split.labels, chosen)
        return self.augment(key, split.images[chosen], split.labels[chosen])

    def choose(
        self, key: Key[Array, ""], labels: Int[Array, "count"], chosen: Int[Array, "batch"]
    ) -> Int[Array, "batch"]:
        """The numbers of a batch's images, out of those whose turn it is in the epoch's order."""
        if not self.balanced:
            return chosen
        return draw_balanced(jax.random.fold_in(key, 2), labels, len(chosen))

    def augment(
        self,
        key: Key[Array, ""],
        images: UInt8[Array, "batch height width channels"],
        labels: Int[Array, "batch"],
    ) -> Batch:
        """A batch of stored images, each shifted and distorted on its own."""
        if self.phases:
            images = random_phase(key, images, self.phases, self.phase_stride)
        else:
            images = random_shift(key, images, self.shift)
        images = normalise(images)
        if self.distortion is not None:
            canvas = images.shape[1]
            images = self.distortion(jax.random.fold_in(key, 1), images, canvas).images
        return Batch(images, labels)


def load(config: DatasetConfig, data_dir: str | None = None, *, in_memory: bool = False) -> Dataset:
    """Reads the splits of a dataset, or maps them into memory.

    Where the dataset does not declare its number of classes, it is one more than the last label of
    the training and validation images.

    Args:
        config: The dataset's name and splits.
        data_dir: Where prepared TFDS data lies; None takes `TFDS_DATA_DIR`, then TFDS's default.
            A folder named after the dataset, of IDX files or of affNIST's, is found there too.
        in_memory: All images, whatever `memory_limit` allows.

    Returns:
        The splits, as uint8 images of one size.

    Raises:
        UserError: if the dataset, a split or what preparing it needs is missing, data is damaged,
            or the configuration asks for what the images do not allow.
    """
    folder = data_folder(data_dir)
    source = open_source(
        config.name,
        folder,
        config.size,
        channels=config.channels,
        seed=config.split_seed,
    )
    specs = _specs(config, source)
    parts = {role: source.read(spec) for role, spec in specs.items()}
    num_classes = source.num_classes or count_classes(
        np.concatenate([parts[role][1] for role in ("train", "validation")]), config.name
    )
    if config.train_images:
        images, labels = parts["train"]
        chosen = first_images(labels, config.train_images)
        parts["train"] = images[chosen], labels[chosen]
    limit = math.inf if in_memory else config.memory_limit
    splits = {
        role: Split(_prepared(config, opened(images, folder, limit, config.pad)), labels)
        for role, (images, labels) in parts.items()
    }
    dataset = Dataset(
        public_name(config.name),
        num_classes,
        splits["train"],
        splits["validation"],
        splits["test"],
        is_of_digits=is_of_digits(config.name),
        class_names=source.class_names,
        notes=(*source.notes, *_mapped(splits, folder)),
        fingerprint=source.fingerprint,
    )
    _check_shapes(config, dataset)
    return dataset


def _mapped(splits: Mapping[str, Split], folder: pathlib.Path) -> Iterator[str]:
    """A sentence on the splits that are mapped into memory, if there are any."""
    found = {role: split.images.nbytes for role, split in splits.items() if split.is_mapped}
    if found:
        yield (
            f"{' and '.join(found)} images ({sum(found.values()) / 1e9:.3g} GB decoded) are read "
            f"batch by batch from {folder / DECODED}; see dataset.memory_limit"
        )


def _prepared(config: DatasetConfig, images: np.ndarray) -> np.ndarray:
    if isinstance(images, np.memmap):
        return images
    try:
        return frame(with_channels(images, config.channels), config.pad)
    except ValueError as error:
        raise UserError(f"dataset.channels={config.channels}: {config.name} has {error}") from error


def is_of_digits(name: str) -> bool:
    """True for a dataset of digits, by its name."""
    return name.partition("/")[0] in _OF_DIGITS


def _specs(config: DatasetConfig, source: slicing.Source) -> dict[str, str]:
    """The split of each role, checked before any is read.

    Raises:
        UserError: if there is no such split, or nothing in it, or two of them share images.
    """
    specs = {role: getattr(config, role) for role in ROLES}
    if source.has_validation:
        specs |= {r: r for r in ("train", "validation") if specs[r] in (_TRAIN, _VALIDATION)}
    defaults = (specs["train"], specs["validation"]) == (_TRAIN, _VALIDATION)
    if defaults and 0 < source.sizes("train").get("train", 0) <= _MOST:
        specs |= _FRACTIONS
    asked = {role: f"dataset.{role}={spec!r}" for role, spec in specs.items()}
    parts = {
        role: slicing.check_split(source, config.name, spec, asked[role])
        for role, spec in specs.items()
    }
    for role, other in itertools.combinations(ROLES, 2):
        if shared := slicing.overlap(parts[role], parts[other]):
            raise UserError(
                f"{asked[role]} and {asked[other]} share {shared:,} images of {config.name}; a "
                "model is measured on images that it neither learnt from nor was chosen by, so "
                "name parts without a common image, such as 'train[:90%]' and 'train[90%:]'"
            )
    return specs


def _check_shapes(config: DatasetConfig, dataset: Dataset) -> None:
    """Raises a `UserError` if splits differ in shape, or it does not allow what is asked for."""
    shapes = {role: getattr(dataset, role).images.shape[1:] for role in ROLES}
    if len(set(shapes.values())) > 1:
        each = ", ".join(f"{role} {shape}" for role, shape in shapes.items())
        raise UserError(
            f"{config.name}: its splits have images of different shapes, {each}; --config.dataset."
            "size=28 brings their heights and widths to one"
        )
    height, width = dataset.image_shape[:2]
    if config.distortion is not None and height != width:
        raise UserError(
            f"dataset.distortion is for square images; those of {config.name} are {height}x{width}"
        )
    limits = {"shift": min(height, width) - 1, "phase_stride": min(height, width)}
    name = "phase_stride" if config.phases else "shift"
    if config.phases != 1 and getattr(config, name) > limits[name]:
        raise UserError(
            f"dataset.{name}={getattr(config, name)}: must be at most {limits[name]} for the "
            f"{height}x{width} images of {config.name}"
        )
