"""Prepared TFDS data as users have it, right and wrong: features, labels, splits and damage."""

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from common.errors import UserError
from data.dataset import Dataset, Split
from data.sources import idx
from data.sources.elsewhere import load_elsewhere
from data.sources.load import DatasetConfig, load
from tests.data.stored import CLASSES, COUNT, numbers, pixels, prepare, refusal, write_idx

TEXT = (tfds.features.Text(), ["seven"] * COUNT)
LIST = (tfds.features.Sequence(CLASSES), [[0]] * COUNT)
FILM = (tfds.features.Sequence(pixels(6, 6, 1)[0]), [np.zeros((2, 6, 6, 1), np.uint8)] * COUNT)

SPLITS = {"train": "train[:12]", "validation": "train[12:14]", "test": "train[14:]"}
PARTS = ("images", "labels")

PAIR = (tfds.features.Tensor(shape=(2,), dtype=np.int64), [np.arange(2)] * COUNT)


def stored(folder, **fields):
    """Loads a dataset of `tests.data.stored`, which has one split."""
    config = DatasetConfig(**({"name": "stored", "shift": 0} | SPLITS | fields))
    return load(config, str(folder))


def everything(dataset):
    """The images and the labels of a dataset's three splits, one after another."""
    splits = (dataset.train, dataset.validation, dataset.test)
    return tuple(np.concatenate([getattr(s, part) for s in splits]) for part in PARTS)


@pytest.mark.parametrize(
    ("features", "keys", "classes"),
    [
        ({"image": pixels(6, 6, 1), "label": numbers()}, None, 3),
        ({"image": pixels(6, 6), "label": numbers(np.uint8, [4, 0, 2])}, None, 5),
        ({"image": pixels(6, 6, 5), "label": (CLASSES, [0, 1] * COUNT)}, None, 3),
        ({"picture": pixels(6, 6, 2), "kind": numbers(np.bool_, [0, 1])}, ("picture", "kind"), 2),
    ],
)
@pytest.mark.parametrize("size", [0, 6])
def test_features_that_are_images_and_labels(tmp_path, features, keys, classes, size):
    prepare(tmp_path, features, supervised_keys=keys)
    dataset = stored(tmp_path, size=size)
    (_, images), (_, labels) = features.values()
    expected = np.stack(images).reshape(COUNT, 6, 6, -1)
    found, numbered = everything(dataset)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(numbered, np.array(labels[:COUNT], np.int32))
    assert dataset.num_classes == classes


IMAGE, LABEL = pixels(6, 6, 1), numbers()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"image": pixels(6, 6, 1, dtype=np.uint16), "label": LABEL}, r"uint16 images of shape"),
        (
            {"image": pixels(6, 6, dtype=np.bool_), "label": LABEL},
            r"bool images of shape \(6, 6, 1",
        ),
        ({"image": pixels(6, 6, 3, dtype=np.float32), "label": LABEL}, "float32 images of shape"),
        ({"image": pixels(3, 6, 6), "label": LABEL}, "channels come first"),
        ({"image": pixels(36), "label": LABEL}, r"has no features .* image \(36,\)"),
        ({"image": FILM, "label": LABEL}, "has no features image and label"),
        ({"image": {"left": IMAGE}, "label": LABEL}, r"it has image {'left': \(6, 6, 1\)}"),
        ({"img": IMAGE, "y": LABEL}, r"it has img \(6, 6, 1\), y \(\)"),
        ({"image": IMAGE, "label": TEXT}, "labels are text"),
        ({"image": IMAGE, "label": LIST}, "has no features image and label"),
        ({"image": IMAGE, "label": numbers(np.float32, [0.5])}, "labels are float"),
        ({"image": IMAGE, "label": PAIR}, r"labels are int64 of shape \(2,"),
        (
            {"image": IMAGE, "label": numbers(np.int64, [0, 1, 255])},
            "3 different labels, up to 255",
        ),
        ({"image": IMAGE, "label": numbers(np.uint64, [2**60])}, "label 1152921504606846976"),
        ({"image": IMAGE, "label": numbers(np.int64, [0, -1])}, "train split .* such as -1"),
        ({"image": IMAGE, "label": (CLASSES, [-1] * COUNT)}, "all labels of the train split"),
    ],
)
def test_features_that_are_not(tmp_path, features, message):
    prepare(tmp_path, features)
    for size in (0, 6):
        with pytest.raises(UserError, match=message):
            stored(tmp_path, size=size)


def write_json(path, change):
    """Changes the content of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(content) or content), encoding="utf-8")


def from_elsewhere(features):
    features["featuresDict"]["features"]["label"]["pythonClassName"] = "antigravity.Feature"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("dataset_info.json", lambda path: path.write_text("{"), "is damaged"),
        ("dataset_info.json", lambda path: path.write_bytes(b"\xff\xfe\0"), "is damaged"),
        ("dataset_info.json", lambda path: write_json(path, lambda _: [1]), "is damaged"),
        ("features.json", lambda path: path.write_text(""), "is damaged"),
        ("features.json", lambda path: path.unlink(), "is damaged"),
        ("features.json", lambda path: write_json(path, from_elsewhere), "antigravity.Feature"),
        ("stored-train*", lambda path: path.unlink(), "is damaged"),
        ("stored-train*", lambda path: path.write_bytes(b""), "is damaged"),
        ("stored-train*", lambda path: path.write_bytes(path.read_bytes()[:-5]), "is damaged"),
        ("stored-train*", lambda path: path.write_bytes(b"\7" * 2**16), "is damaged"),
    ],
)
def test_damaged_data_is_named(tmp_path, kept, file, damage, message):
    folder = shutil.copytree(kept / "stored", tmp_path / "stored") / "1.0.0"
    (victim,) = folder.glob(file)
    damage(victim)
    said = refusal(lambda: stored(tmp_path))
    assert str(tmp_path / "stored") in said
    assert message in said


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data directory with prepared data that no test may change."""
    folder = tmp_path_factory.mktemp("kept")
    prepare(folder, {"image": IMAGE, "label": LABEL})
    return folder


def test_default_splits_of_a_small_dataset_are_nine_tenths_and_one(tmp_path):
    images, _ = idx.read_split(write_idx(tmp_path / "digits"), "train")
    dataset = load(DatasetConfig("digits"), str(tmp_path))
    np.testing.assert_array_equal(dataset.train.images, images[:18])
    np.testing.assert_array_equal(dataset.validation.images, images[18:])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"train": "train"},
            "dataset.train='train' and dataset.validation='train[55000:]' share 5,000 images of "
            "mnist",
        ),
        (
            {"validation": "test"},
            "dataset.validation='test' and dataset.test='test' share 10,000 images",
        ),
        (
            {"test": "train[:100]+test"},
            "dataset.train='train[:55000]' and dataset.test='train[:100]+test' share 100 images",
        ),
        (
            {"test": "all"},
            "dataset.train='train[:55000]' and dataset.test='all' share 55,000 images",
        ),
    ],
)
def test_no_image_is_of_two_splits(data_dir, fields, message):
    said = refusal(lambda: load(DatasetConfig(**fields), data_dir))
    assert said.startswith(message)
    assert said.endswith(
        "name parts without a common image, such as 'train[:90%]' and 'train[90%:]'"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": "train[:55000]", "validation": "train[:5]"}, r"dataset.train='train\[:55000\]'"),
        ({"train": "train[15:5]"}, r"dataset.train='train\[15:5\]': no image of stored"),
        ({"train": "train[50:10]"}, r"dataset.train='train\[50:10\]': .*incompatible"),
        ({"test": "train[-100%:-100%]"}, "dataset.test=.*: no image of stored is in this split"),
        ({"test": "test"}, r"has no such split; it has train \(20 images\); .* 'train\[90%:\]'"),
        ({"test": "train+validation"}, r"has no such split; it has train \(20 images\)$"),
        ({"test": "all[:5]"}, "write it as TFDS does"),
        ({"test": "train[1:2:3]"}, "write it as TFDS does"),
        ({"test": ""}, "write it as TFDS does"),
        ({"test": "train[:101%]"}, "write it as TFDS does"),
        ({"train_images": 13}, "dataset.train_images=13: there are 12 training images"),
        ({"size": 10**5}, "dataset.size=100000: images of shape .*GB"),
        ({"size": 10**30}, "dataset.size=1"),
        ({"pad": 10**5}, "dataset.pad=100000: images of shape .*GB"),
        ({"shift": 6}, "dataset.shift=6: must be at most 5 for the 6x6 images of stored"),
        ({"shift": 2, "size": 1}, "dataset.shift=2: must be at most 0 for the 1x1 images"),
        ({"phases": 2, "phase_stride": 10**6}, "dataset.phase_stride=1000000: must be at most 6"),
    ],
)
def test_what_the_data_does_not_allow(kept, fields, message):
    with pytest.raises(UserError, match=message) as caught:
        stored(kept, **fields)
    assert len(str(caught.value).splitlines()) == 1


def test_every_split_is_all(kept):
    assert "share 12 images" in refusal(lambda: stored(kept, test="all"))
    assert len(stored(kept, shift=5, phases=1, phase_stride=50).train) == 12


def split(*labels):
    return Split(np.zeros((len(labels), 6, 6, 1), np.uint8), np.array(labels, np.int32))


@pytest.mark.parametrize("label", [-1, 3, 255])
@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_labels_outside_of_the_classes_are_refused(label, role):
    roles = {"train": split(0, 1), "validation": split(2), "test": split(1)}
    Dataset("made up", 3, **roles)
    said = refusal(lambda: Dataset("made up", 3, **(roles | {role: split(2, label)})))
    assert f"made up: 1 of 2 labels of the {role} split are outside of its 3 classes" in said
    assert f"such as {label}" in said
    assert f"--config.dataset.{role}='train[90%:]'" in said


def test_classes_are_those_of_the_training_files(tmp_path):
    """A test file with a class of its own is refused; sorted training images are not."""
    folder = write_idx(tmp_path / "digits", classes=10)
    assert load(DatasetConfig("digits"), str(tmp_path)).num_classes == 10
    by_halves = DatasetConfig("digits", train="train[:5]", validation="train[5:]")
    assert load(by_halves, str(tmp_path)).num_classes == 10
    write_idx(tmp_path / "fewer", classes=4)
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(tmp_path / "fewer" / f"train-{kind}-ubyte.gz", folder)
    assert "of the test split" in refusal(lambda: load(DatasetConfig("digits"), str(tmp_path)))


def test_a_model_is_not_asked_about_images_without_labels(tmp_path):
    known = Dataset("known", 4, split(0), split(0), split(3))
    folder = write_idx(tmp_path / "unlabelled", classes=5)
    said = refusal(lambda: load_elsewhere(known, "unlabelled", str(tmp_path)))
    assert "labels up to 4, and the model knows the 4 classes of known" in said
    assert load_elsewhere(known, "other", str(write_idx(tmp_path / "other").parent)).name == "other"
    prepare(tmp_path, {"image": IMAGE, "label": LABEL}, name="untested")
    said = refusal(lambda: load_elsewhere(known, "untested", str(tmp_path)))
    assert "untested has no such split; it has train (20 images)" in said
    assert folder.is_dir()
