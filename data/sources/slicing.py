"""Parts of splits, in TFDS's slicing notation."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from common.errors import UserError, first_line
from data.sources.decoded import Undecoded
from data.sources.resizing import middle_squares

Images = tuple[np.ndarray, np.ndarray]
"""Images `[count, height, width, channels]` (uint8) and labels `[count]` (int32)."""
ALL = "all"
"""TFDS's word for every split there is, one after another."""

_WITHOUT_TEST = (
    "; choose parts of one split, such as 'train[:80%]' for dataset.train, 'train[80%:90%]' for "
    "dataset.validation and 'train[90%:]' for dataset.test"
)


class Source(NamedTuple):
    """A dataset that was found, and of which nothing need have been read yet.

    Attributes:
        num_classes: As the dataset declares it; None where only its labels tell.
        sizes: From a split in TFDS's slicing notation to the number of images of each whole split
            that it may be a part of, and perhaps of others; empty where nobody knows.
        read: From a split in that notation to its images and labels; files of images are left as
            they are (see `data.sources.decoded`).
        class_names: In the order of the labels, where they are more than numbers.
        has_validation: Of a source whose split "validation" is what models are chosen by; others
            are validated on a part of their training images.
        elsewhere: The split that models are tested on which were trained on another dataset.
        notes: What was done to the images on the way, as sentences for people.
        fingerprint: Of files that may change; empty where it is not known.
    """

    num_classes: int | None
    sizes: Callable[[str], Mapping[str, int]]
    read: Callable[[str], tuple[np.ndarray | Undecoded, np.ndarray]]
    class_names: tuple[str, ...] = ()
    has_validation: bool = False
    elsewhere: str = "test"
    notes: tuple[str, ...] = ()
    fingerprint: str = ""


class Part(NamedTuple):
    """A run of images of one split."""

    split: str
    start: int
    stop: int


def resolve(spec: str, sizes: Mapping[str, int]) -> list[Part]:
    """Finds the images that a specification names.

    Args:
        spec: Such as "train[:100]+test" or "train[-10%:]".
        sizes: Images of each whole split, by its name.

    Raises:
        ValueError: if it cannot be read, names a split that is not there, or reaches beyond the
            end of one; the message is a clause that says so and what is there.
    """
    infos = {
        split: tfds.core.SplitInfo(
            name=split, shard_lengths=[size], num_bytes=0, filename_template=None
        )
        for split, size in sizes.items()
    }
    there = "it has " + (" and ".join(f"{s} ({n} images)" for s, n in sizes.items()) or "none")
    try:
        instruction = tfds.core.ReadInstruction.from_spec(spec)
    except (ValueError, AssertionError, NotImplementedError, OverflowError) as error:
        raise ValueError(
            f"write it as TFDS does, such as 'train', 'train[:90%]' or 'train[-500:]+test'; {there}"
        ) from error
    for split in named_splits(spec):
        if split != ALL and split not in sizes:
            raise ValueError(there + (_WITHOUT_TEST if split == "test" else ""))
    try:
        parts = instruction.to_absolute(infos)
    except (ValueError, AssertionError, OverflowError) as error:
        raise ValueError(f"{first_line(error).rstrip('.')}; {there}") from error
    return [
        Part(
            part.splitname,
            part.from_ or 0,
            sizes[part.splitname] if part.to is None else part.to,
        )
        for part in parts
    ]


def named_splits(spec: str) -> list[str]:
    """The names in a specification, of splits that need not be there."""
    return [part.partition("[")[0].strip() for part in spec.split("+")]


def take(spec: str, splits: Mapping[str, Images]) -> Images:
    """The images and labels of a part of some splits that lie in memory.

    Args:
        spec: Such as "train[:100]+test".
        splits: Whole, by name.

    Raises:
        ValueError: see `resolve`.
    """
    parts = resolve(spec, {split: len(labels) for split, (_, labels) in splits.items()})
    slices = [(*splits[part.split], slice(part.start, part.stop)) for part in parts]
    return (
        np.concatenate([images[chosen] for images, _, chosen in slices]),
        np.concatenate([labels[chosen] for _, labels, chosen in slices]),
    )


def read_whole_splits(
    names: Sequence[str],
    whole: Callable[[str], Images],
    *,
    size: int,
    num_classes: int,
    has_validation: bool = False,
) -> Source:
    """Makes a source of splits that are read as a whole, and only those that are asked for.

    Args:
        names: Of all splits.
        whole: From one of the names to its images and labels; asked for the same one repeatedly.
        size: Height and width that images are brought to; 0 leaves them as they are.
        num_classes: See `Source`.
        has_validation: See there.
    """

    def splits(spec):
        named = named_splits(spec)
        if unknown := set(named) - {*names, ALL}:
            there = (" and " if len(names) == 2 else ", ").join(names)
            raise ValueError(f"there is no split {min(unknown)!r}; it has {there}")
        return {split: whole(split) for split in names if {split, ALL} & set(named)}

    def sizes(spec):
        return {split: len(labels) for split, (_, labels) in splits(spec).items()}

    def read(spec):
        images, labels = take(spec, splits(spec))
        return middle_squares(images, size), labels

    return Source(num_classes, sizes, read, has_validation=has_validation)


def count(parts: list[Part]) -> int:
    """The number of images in parts of splits; one that ends before it begins has none."""
    return sum(max(part.stop - part.start, 0) for part in parts)


def overlap(parts: Sequence[Part], others: Sequence[Part]) -> int:
    """The number of images that parts of splits have in common."""
    return sum(
        max(min(part.stop, other.stop) - max(part.start, other.start), 0)
        for part in parts
        for other in others
        if part.split == other.split
    )


def check_split(source: Source, name: str, spec: str, asked: str) -> list[Part]:
    """Finds the images of a split.

    Args:
        source: Of the dataset.
        name: Of the dataset.
        spec: In the notation of `resolve`.
        asked: The error begins with it.

    Returns:
        See `resolve`; none where nobody knows the sizes of the dataset's splits.

    Raises:
        UserError: if the dataset has no such split, or nothing in it.
    """
    try:
        sizes = source.sizes(spec)
        parts = resolve(spec, sizes) if sizes else []
        if sizes and not count(parts):
            raise UserError(f"{asked}: no image of {name} is in this split")
        return parts
    except ValueError as error:
        raise UserError(f"{asked}: {name} has no such split; {error}") from error
