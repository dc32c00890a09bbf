import gzip
import hashlib
import io
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.testing import mocking

from common.errors import UserError
from data.sources import bundled_mnist, idx, opening, preparation
from data.sources.load import DatasetConfig, load
from data.sources.resizing import middle_square
from tests.conftest import ROOT
from tests.data.stored import write_idx


def test_bundled_files_are_the_whole_of_mnist():
    for name, expected in bundled_mnist.CHECKSUMS.items():
        content = gzip.decompress((bundled_mnist.FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == expected


def test_mnist_is_what_the_files_hold(data_dir):
    dataset = load(DatasetConfig(), data_dir)
    assert dataset.num_classes == 10
    assert dataset.is_of_digits
    assert dataset.image_shape == (28, 28, 1)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        55000,
        5000,
        10000,
    ]
    images, labels = idx.read_split(bundled_mnist.FOLDER, "train")
    np.testing.assert_array_equal(dataset.train.images, images[:55000])
    np.testing.assert_array_equal(dataset.validation.labels, labels[55000:])
    test_images, test_labels = idx.read_split(bundled_mnist.FOLDER, "test")
    np.testing.assert_array_equal(dataset.test.images, test_images)
    np.testing.assert_array_equal(dataset.test.labels, test_labels)
    pixels = images / 255.0
    assert pixels.mean() == pytest.approx(0.1307, abs=1e-4)
    assert pixels.std() == pytest.approx(0.3081, abs=1e-4)


def test_the_data_directory_is_the_argument_then_the_variable(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/from/variable")
    assert opening.data_folder("/from/flag") == pathlib.Path("/from/flag")
    assert opening.data_folder(None) == pathlib.Path("/from/variable")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert opening.data_folder(None) == pathlib.Path("~/tensorflow_datasets").expanduser()


def test_mnist_needs_no_tensorflow(data_dir):
    program = (
        "import sys; from data.sources.load import DatasetConfig, load; "
        f"load(DatasetConfig(), {data_dir!r}); "
        "print('tensorflow' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert process.stdout == "False\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], "cannot be read"),
        (lambda content: gzip.compress(b"\0\0\x08\x01" + bytes(60004)), "SHA-256"),
    ],
)
def test_a_damaged_bundle_is_named(monkeypatch, tmp_path, damage, message):
    folder = shutil.copytree(bundled_mnist.FOLDER, tmp_path / "mnist")
    victim = folder / "train-labels-idx1-ubyte.gz"
    victim.write_bytes(damage(victim.read_bytes()))
    monkeypatch.setattr(bundled_mnist, "FOLDER", folder)
    with pytest.raises(UserError, match=rf"train-labels-idx1-ubyte.gz .*{message}"):
        load(DatasetConfig(), str(tmp_path / "data"))


def test_idx_files_in_the_data_directory(tmp_path):
    write_idx(tmp_path / "my_digits")
    config = DatasetConfig(
        name="my_digits", train="train[:75%]", validation="train[75%:]+test[:2]", test="test[2:]"
    )
    dataset = load(config, str(tmp_path))
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [15, 7, 8]
    assert dataset.num_classes == 4
    images, labels = idx.read_split(tmp_path / "my_digits", "train")
    np.testing.assert_array_equal(dataset.train.images, images[:15])
    np.testing.assert_array_equal(dataset.validation.labels[:5], labels[15:])


def test_idx_files_of_the_system(tmp_path, monkeypatch):
    write_idx(tmp_path / "system" / "fashion-mnist")
    monkeypatch.setattr(opening, "SYSTEM_FOLDER", tmp_path / "system")
    config = DatasetConfig(name="fashion_mnist", train="train[:10]", validation="train[10:]")
    assert len(load(config, str(tmp_path)).train) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not idx at all", "not an IDX file"),
        (bytes([0, 0, 8, 1]) + np.array([7], ">u4").tobytes() + bytes(3), "holds 3 values"),
    ],
)
def test_idx_files_that_are_not(tmp_path, content, message):
    folder = write_idx(tmp_path / "digits")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=message):
        load(DatasetConfig(name="digits"), str(tmp_path))


@pytest.fixture
def mocked(monkeypatch):
    """Public datasets with random images, as if they were prepared."""
    monkeypatch.setattr(
        preparation, "find_prepared", lambda name, folder: tfds.builder(name, data_dir=folder)
    )
    # Reading many records at once reaches the mock as a plain function, without its `self`.
    read_many = mocking._getitems
    monkeypatch.setattr(
        mocking, "_getitems", lambda keys, generator: read_many(None, keys, generator)
    )
    with tfds.testing.mock_data(num_examples=20):
        yield DatasetConfig(train="train[:15]", validation="train[15:]")


@pytest.mark.parametrize(
    ("name", "image_shape", "classes"),
    [
        ("fashion_mnist", (28, 28, 1), 10),
        ("kmnist", (28, 28, 1), 10),
        ("cifar10", (32, 32, 3), 10),
        ("cifar100", (32, 32, 3), 100),
        ("svhn_cropped", (32, 32, 3), 10),
        ("smallnorb", (96, 96, 2), 5),
    ],
)
def test_public_datasets(mocked, tmp_path, name, image_shape, classes):
    mocked.name = name
    dataset = load(mocked, str(tmp_path))
    assert dataset.image_shape == image_shape
    assert dataset.num_classes == classes
    assert len(dataset.train) == len(dataset.test) == 20  # the mock ignores slices
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.dtype == np.int32


def test_images_of_many_sizes_are_brought_to_one(mocked, tmp_path):
    mocked.name, mocked.size = "caltech_birds2011", 24
    dataset = load(mocked, str(tmp_path))
    assert dataset.image_shape == (24, 24, 3)
    assert dataset.num_classes == 200
    assert len(dataset.train) == 20


def test_the_middle_square_is_what_is_resized():
    image = np.zeros((4, 10, 2), np.uint8)
    image[:, :3], image[:, 7:] = 255, 255  # outside of the square
    image[:2, 3:7, 1] = 200
    resized = middle_square(image, 2)
    np.testing.assert_array_equal(resized[..., 0], 0)
    assert np.all(resized[0, :, 1] > 150)  # the filter reaches across the edge
    assert np.all(resized[1, :, 1] < 50)
    np.testing.assert_array_equal(middle_square(image, 4), image[:, 3:7])
    wide = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    np.testing.assert_array_equal(middle_square(wide, 5), wide[1:6])


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((20, 20), np.uint8), 20),
        (np.zeros((4, 4, 1), np.float32), 2),
        (np.zeros((4, 4, 1), np.bool_), 2),
        (np.zeros((4, 0, 1), np.uint8), 2),
        (np.zeros((4, 4, 1), np.uint8), 0),
    ],
)
def test_only_images_are_resized(image, size):
    with pytest.raises(ValueError, match="only uint8 images of height, width and channels"):
        middle_square(image, size)


def test_idx_files_are_resized_too(tmp_path):
    write_idx(tmp_path / "my_digits")
    config = DatasetConfig(
        name="my_digits", train="train[:15]", validation="train[15:]", test="test", size=9
    )
    dataset = load(config, str(tmp_path))
    images, _ = idx.read_split(tmp_path / "my_digits", "test")
    assert dataset.image_shape == (9, 9, 1)
    np.testing.assert_array_equal(dataset.test.images[3], middle_square(images[3], 9))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imdb_reviews", "no features image and label"),
        ("stanford_dogs", "different sizes; set dataset.size"),
    ],
)
def test_datasets_that_do_not_fit(mocked, tmp_path, name, message):
    mocked.name = name
    with pytest.raises(UserError, match=message):
        load(mocked, str(tmp_path))


with tfds.core.registered.skip_registration():

    class TinyPhotos(tfds.core.GeneratorBasedBuilder):
        """Photos stored as PNG, as TFDS stores its public datasets."""

        VERSION = tfds.core.Version("1.0.0")
        images = np.random.default_rng(0).integers(0, 256, (8, 5, 6, 3), np.uint8)
        labels = np.arange(8) % 3

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(5, 6, 3)),
                "label": tfds.features.ClassLabel(num_classes=3),
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for index, (image, label) in enumerate(zip(self.images, self.labels, strict=True)):
                stored = io.BytesIO()
                PIL.Image.fromarray(image).save(stored, "png")
                yield index, {"image": stored.getvalue(), "label": int(label)}


def test_stored_png_images_need_no_tensorflow(tmp_path):
    with preparation.quiet():
        TinyPhotos(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    images, labels = TinyPhotos.images, TinyPhotos.labels
    config = DatasetConfig(
        name="tiny_photos", train="train[:3]", validation="train[3:6]", test="train[6:]"
    )
    dataset = load(config, str(tmp_path))
    for split, part in zip(
        (dataset.train, dataset.validation, dataset.test), (0, 3, 6), strict=True
    ):
        np.testing.assert_array_equal(split.images, images[part : part + 3])
        np.testing.assert_array_equal(split.labels, labels[part : part + 3])
    assert dataset.num_classes == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": "tain"}, r"dataset.train='tain': mnist has no such split"),
        ({"validation": "train[:x]"}, r"dataset.validation='train\[:x\]'"),
        ({"test": "test[:0]"}, r"dataset.test='test\[:0\]'"),
        ({"name": "cifar11"}, r"'cifar11' is not a TFDS dataset; did you mean .*cifar10"),
        ({"name": "a b/c"}, r"'a b/c' cannot be opened"),
    ],
)
def test_what_is_asked_for_in_vain(data_dir, fields, message):
    with pytest.raises(UserError, match=message) as caught:
        load(DatasetConfig(**fields), data_dir)
    assert len(str(caught.value).splitlines()) == 1


def test_without_the_extra_the_answer_is_quick_and_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation.importlib.util, "find_spec", lambda name: None)
    start = time.perf_counter()
    with pytest.raises(UserError, match=r"'kmnist' is not prepared .*\.\[train,tfds\]"):
        load(DatasetConfig(name="kmnist"), str(tmp_path))
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("failure", ["refuses", "hangs"])
def test_without_a_network_the_answer_is_quick_and_names_the_host(tmp_path, monkeypatch, failure):
    def no_address(*arguments, **options):
        if failure == "hangs":
            time.sleep(30)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    monkeypatch.setattr(preparation.importlib.util, "find_spec", lambda name: "tensorflow")
    monkeypatch.setattr(preparation, "_PROBE_SECONDS", 1.0)
    start = time.perf_counter()
    with pytest.raises(UserError, match=r"https?://[\w.-]+, where it is downloaded from"):
        load(DatasetConfig(name="cifar10"), str(tmp_path))
    assert time.perf_counter() - start < 10


def test_a_data_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="--data_dir"):
        load(DatasetConfig(), str(tmp_path / "file"))
