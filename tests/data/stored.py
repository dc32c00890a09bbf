"""Small datasets on disk, as users have them."""

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds

from common.errors import UserError
from data import idx, preparation

COUNT = 20
CLASSES = tfds.features.ClassLabel(num_classes=3)


def write_idx(folder, count=COUNT, side=6, classes=4):
    """A dataset of `count` training and half as many test images, as IDX files."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, size in (("train", count), ("test", count // 2)):
        images = random.integers(0, 256, (size, side, side), np.uint8)
        labels = (np.arange(size) % classes).astype(np.uint8)
        for name, array in zip(idx.FILES[split], (images, labels), strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return folder


def idx_bytes(array, shape=None):
    """An IDX file's content, whose header may say another shape."""
    shape = array.shape if shape is None else shape
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes() + array.tobytes()


def pixels(*shape, dtype=np.uint8):
    """Features of images, and images: random, or truth values, the same ones every time."""
    values = np.random.default_rng(0).integers(0, 2 if dtype == np.bool_ else 200, (COUNT, *shape))
    return tfds.features.Tensor(shape=shape, dtype=dtype), list(values.astype(dtype))


def numbers(dtype=np.int64, values=None):
    """Features of labels, and labels: 0, 1, 2, 0, ..., or the given ones in turn."""
    values = [0, 1, 2] if values is None else values
    feature = tfds.features.Tensor(shape=np.shape(values[0]), dtype=dtype)
    return feature, [dtype(values[k % len(values)]) for k in range(COUNT)]


def prepare(folder, features, *, supervised_keys=None, name="stored"):
    """Prepares a dataset of one split, "train", that TFDS does not know.

    Args:
        folder: The data directory.
        features: By name, each with its values (see `pixels` and `numbers`); may be nested.
        supervised_keys: See TFDS.
        name: Of the dataset.

    Returns:
        The folder of its files.
    """

    def each(tree, *chosen):
        if isinstance(tree, dict):
            return {key: each(value, *chosen) for key, value in tree.items()}
        feature, values = tree
        return values[chosen[0]] if chosen else feature

    with tfds.core.registered.skip_registration():

        class Stored(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(each(features)),
                    supervised_keys=supervised_keys,
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                for number in range(COUNT):
                    yield number, each(features, number)

    Stored.name = name
    with preparation.quiet():
        Stored(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder / name / "1.0.0"


def refusal(act):
    """The message of an error for users, which is one line."""
    with pytest.raises(UserError) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
