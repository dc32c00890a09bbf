"""affNIST's files, in the layout in which its authors store them."""

import numpy as np
import pytest
import scipy.io

from common.errors import UserError
from data.sources import affnist
from data.sources.elsewhere import load_elsewhere
from data.sources.load import DatasetConfig, load

UPRIGHT_SEVEN = np.zeros((40, 40), np.uint8)
UPRIGHT_SEVEN[10, 12:28] = 255  # its bar, above
UPRIGHT_SEVEN[10:30, 27] = 200  # its stem, to the right
FEW = {"train": "train[:60]", "validation": "train[60:90]", "test": "test[:40]"}


@pytest.fixture(scope="module")
def moved(data_dir):
    """What a model of moved digits was trained on."""
    return load(DatasetConfig(**FEW, pad=6, shift=6), data_dir)


def write_batch(path, images, labels):
    """A struct with an image in each column; the real files have more fields, such as the maps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "image": images.reshape(len(images), -1).T,
        "label_int": np.asarray(labels, np.uint8)[None],
        "human_readable_transform": np.zeros((8, len(images))),
    }
    scipy.io.savemat(path, {"affNISTdata": fields}, do_compression=True)


def digits(count, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 40, 40), np.uint8)
    return images, random.integers(0, 10, count)


def folder_of_batches(tmp_path, numbers=(1, 2, 10), count=7):
    """Test images in the given order of files, as one array each."""
    batches = [digits(count, seed) for seed in numbers]
    for number, (images, labels) in zip(numbers, batches, strict=True):
        write_batch(tmp_path / "affnist" / "test_batches" / f"{number}.mat", images, labels)
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def test_batches_come_in_the_order_of_their_numbers(tmp_path):
    images, labels = folder_of_batches(tmp_path)
    read = affnist.open_folder(tmp_path / "affnist", 0).read
    found, classes = read("test")
    np.testing.assert_array_equal(found[..., 0], images)
    np.testing.assert_array_equal(classes, labels)
    assert found.shape == (21, 40, 40, 1)
    assert (found.dtype, classes.dtype) == (np.uint8, np.int32)
    part, _ = read("test[6:9]")
    np.testing.assert_array_equal(part[..., 0], images[6:9])


def test_images_stand_upright(tmp_path):
    write_batch(tmp_path / "affnist" / "test.mat", UPRIGHT_SEVEN[None], [7])
    images, labels = affnist.open_folder(tmp_path / "affnist", 0).read("test")
    np.testing.assert_array_equal(images[0, ..., 0], UPRIGHT_SEVEN)
    assert labels.tolist() == [7]


def test_it_is_a_dataset_like_any_other(tmp_path):
    folder = tmp_path / "affnist"
    images, labels = digits(20)
    write_batch(folder / "training_and_validation.mat", images, labels)
    write_batch(folder / "test.mat", *digits(5, seed=1))
    config = DatasetConfig("affnist", train="train[:75%]", validation="train[75%:]", size=20)
    dataset = load(config, str(tmp_path))
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [15, 5, 5]
    assert dataset.num_classes == 10
    assert dataset.image_shape == (20, 20, 1)
    np.testing.assert_array_equal(dataset.validation.labels, labels[15:])


def test_a_model_of_moved_digits_is_asked_about_affnist(tmp_path, moved):
    images, _ = folder_of_batches(tmp_path)
    asked = load_elsewhere(moved, "affnist", str(tmp_path))
    assert asked.name == "affnist"
    np.testing.assert_array_equal(asked.test.images[..., 0], images)
    assert asked.validation is moved.validation
    assert asked.num_classes == moved.num_classes


def test_a_frame_is_blank(moved, data_dir):
    plain = load(DatasetConfig(**FEW), data_dir)
    assert moved.image_shape == (40, 40, 1)
    np.testing.assert_array_equal(moved.test.images[:, 6:-6, 6:-6], plain.test.images)
    assert int(moved.test.images.sum()) == int(plain.test.images.sum())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist", r"mnist has images of shape \(28, 28, 1\), and the model is .* \(40, 40, 1\)"),
        ("affnist", r"affnist has neither test\.mat nor test_batches/\*\.mat"),
    ],
)
def test_what_a_model_cannot_be_asked_about(tmp_path, moved, data_dir, name, message):
    with pytest.raises(UserError, match=message):
        load_elsewhere(moved, name, data_dir if name == "mnist" else str(tmp_path))


def test_classes_that_a_model_does_not_know(tmp_path, moved):
    images, _ = digits(3)
    write_batch(tmp_path / "affnist" / "test.mat", images, [3, 12, 4])
    with pytest.raises(UserError, match="labels up to 12, and the model knows the 10 classes"):
        load_elsewhere(moved, "affnist", str(tmp_path))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not MATLAB's"), "cannot be read as a file of affNIST"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot be read as a file"),
        (lambda path: scipy.io.savemat(path, {"other": 1}), "cannot be read .*affNISTdata"),
        (
            lambda path: write_batch(path, np.zeros((3, 28, 28), np.uint8), [1, 2, 3]),
            r"uint8 images \(784, 3\) for 3 labels; affNIST has uint8 images \(1600, count\)",
        ),
        (
            lambda path: write_batch(path, np.zeros((2, 40, 40)), [1, 2]),
            "float64 images",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, message):
    folder_of_batches(tmp_path)
    damage(tmp_path / "affnist" / "test_batches" / "2.mat")
    with pytest.raises(UserError, match=message) as caught:
        affnist.open_folder(tmp_path / "affnist", 0).read("test")
    assert "2.mat" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        # As many values as the images have, but an image in each row.
        ({"image": np.zeros((3, 1600), np.uint8)}, r"uint8 images \(3, 1600\) for 3 labels"),
        ({"label_int": np.array([[0.0, np.nan, 1.0]])}, "labels are float64"),
        ({"label_int": np.array([[0, 2**40, 1]])}, "label 1099511627776"),
        ({"label_int": np.array([["a", "b", "c"]], object)}, "labels are text"),
    ],
)
def test_fields_that_fit_by_accident_are_named(tmp_path, fields, message):
    good = {"image": np.zeros((1600, 3), np.uint8), "label_int": np.zeros((1, 3), np.uint8)}
    (tmp_path / "affnist").mkdir()
    scipy.io.savemat(tmp_path / "affnist" / "test.mat", {"affNISTdata": good | fields})
    with pytest.raises(UserError, match=rf"test\.mat.* {message}"):
        affnist.open_folder(tmp_path / "affnist", 0).read("test")


def test_every_split_is_all(tmp_path):
    write_batch(tmp_path / "affnist" / "test.mat", *digits(3))
    write_batch(tmp_path / "affnist" / "training_and_validation.mat", *digits(5))
    source = affnist.open_folder(tmp_path / "affnist", 0)
    assert len(source.read("all")[1]) == 8
    with pytest.raises(ValueError, match="no split 'tain'; it has train and test"):
        source.sizes("tain[:5]")


def test_only_the_splits_that_are_asked_for_are_read(tmp_path):
    folder_of_batches(tmp_path)
    bad = tmp_path / "affnist" / "training_and_validation.mat"
    bad.write_bytes(b"not MATLAB's")
    read = affnist.open_folder(tmp_path / "affnist", 0).read
    assert len(read("test")[1]) == 21
    with pytest.raises(UserError, match=r"training_and_validation\.mat"):
        read("train[:1]")
