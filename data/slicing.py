"""Parts of splits that lie in memory, in TFDS's slicing notation."""

from collections.abc import Mapping

import numpy as np
import tensorflow_datasets as tfds

Images = tuple[np.ndarray, np.ndarray]
"""Images `[count, height, width, channels]` (uint8) and labels `[count]` (int32)."""


def take(spec: str, splits: Mapping[str, Images]) -> Images:
    """The images and labels of a part of some splits.

    Args:
        spec: Such as "train[:100]+test".
        splits: Whole, by name.

    Raises:
        ValueError or AssertionError: if the notation is wrong or names another split.
    """
    infos = {
        split: tfds.core.SplitInfo(
            name=split, shard_lengths=[len(labels)], num_bytes=0, filename_template=None
        )
        for split, (_, labels) in splits.items()
    }
    parts = tfds.core.ReadInstruction.from_spec(spec).to_absolute(infos)
    slices = [(*splits[part.splitname], slice(part.from_, part.to)) for part in parts]
    return (
        np.concatenate([images[chosen] for images, _, chosen in slices]),
        np.concatenate([labels[chosen] for _, labels, chosen in slices]),
    )
