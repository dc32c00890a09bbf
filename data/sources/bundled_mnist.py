"""The bundled MNIST as a TFDS builder that needs neither TensorFlow nor a network."""

import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from data.sources import idx

FOLDER = pathlib.Path(__file__).parents[1] / "mnist"
CHECKSUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class BundledMnist(tfds.core.GeneratorBasedBuilder):
    """MNIST from the IDX files beside this module, in their original order.

    `features.Tensor` stores the raw pixels: `features.Image` would need TensorFlow to encode them.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {"1.1.0": "Pixels are stored as bytes, which takes half the time."}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description="MNIST handwritten digits (LeCun, Cortes, Burges), CC BY-SA 3.0.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(
                        shape=(28, 28, 1), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
                    ),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in idx.FILES}

    def _generate_examples(self, split):
        images, labels = idx.read_split(FOLDER, split, CHECKSUMS)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
