"""The bundled MNIST: IDX files, which are read in a twentieth of the time that TFDS takes."""

import pathlib

from data.sources import idx, slicing

FOLDER = pathlib.Path(__file__).parents[1] / "mnist"
CHECKSUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def open_bundled(size: int) -> slicing.Source:
    """All 60,000 training and 10,000 test images, in their original order.

    Args:
        size: Height and width that images are brought to; 0 leaves them as they are.

    Raises:
        UserError: if a file is missing or is not what its checksum says.
    """
    return idx.open_folder(FOLDER, size, num_classes=10, checksums=CHECKSUMS)
