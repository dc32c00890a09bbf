"""Rotated MNIST's files, in the layout in which its authors store them."""

import numpy as np
import pytest

import configs
from common.errors import UserError
from data.sources.elsewhere import load_elsewhere
from data.sources.load import load
from data.sources.rotated_mnist import NAME

TRAIN, TEST = (
    f"mnist_all_rotation_normalized_float_{part}.amat" for part in ("train_valid", "test")
)


def digits(count, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 784)), random.integers(0, 10, count)


def write(path, images, labels):
    """A line an image, its grey levels in [0, 1], in the notation of the real files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.column_stack([images / 255.0, labels])
    np.savetxt(path, table, fmt="%1.6e", delimiter="   ")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / NAME / TRAIN, *digits(12))
    write(tmp_path / NAME / TEST, *digits(5, seed=1))
    return tmp_path / NAME


def published():
    return configs.load("rotated_mnist:p4cnn,published").dataset


def test_pixels_come_back_row_by_row_in_the_published_splits(folder):
    dataset = load(published(), str(folder.parent))
    learnt, labels = digits(12)
    tested, classes = digits(5, seed=1)
    for split, images, expected in (
        (dataset.train, learnt[:10], labels[:10]),
        (dataset.validation, learnt[10:], labels[10:]),
        (dataset.test, tested, classes),
    ):
        np.testing.assert_array_equal(split.images, images.reshape(-1, 28, 28, 1))
        np.testing.assert_array_equal(split.labels, expected)
    assert dataset.train.images[3, 2, 5, 0] == learnt[3, 2 * 28 + 5]
    assert (dataset.num_classes, dataset.is_of_digits) == (10, True)


def test_a_model_of_other_images_is_tested_on_them(folder):
    learnt = load(published(), str(folder.parent))
    write(folder / TRAIN, *digits(2))
    write(folder / TEST, *(tested := digits(7, seed=2)))
    found = load_elsewhere(learnt, NAME, str(folder.parent))
    np.testing.assert_array_equal(found.test.images.reshape(7, -1), tested[0])
    assert found.train is learnt.train


def spoilt(change):
    """A file of two images, each a list of numbers as texts, that were changed."""
    rows = [["0.5"] * 784 + ["3"], ["0"] * 784 + ["9"]]
    change(rows)
    return "\n".join(map(" ".join, rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a file of rotated MNIST .*no data"),
        (spoilt(lambda rows: rows[1].pop()), "cannot be read as a file of rotated MNIST"),
        (spoilt(lambda rows: [row.pop() for row in rows]), "2 lines of 784 numbers; .* of 785"),
        (spoilt(lambda rows: rows.pop()), "1 lines of 785 numbers"),
        (spoilt(lambda rows: rows[0].__setitem__(0, "__import__('os')")), "cannot be read"),
        (spoilt(lambda rows: rows[0].__setitem__(0, "é")), "cannot be read"),
        (spoilt(lambda rows: rows[0].__setitem__(0, "255")), r"grey levels .* not in \[0, 1\]"),
        (spoilt(lambda rows: rows[0].__setitem__(0, "nan")), r"grey levels .* not in \[0, 1\]"),
        (spoilt(lambda rows: rows[0].__setitem__(784, "10")), "end in no digit"),
        (spoilt(lambda rows: rows[0].__setitem__(784, "1.5")), "end in no digit"),
        (spoilt(lambda rows: rows[0].__setitem__(784, "nan")), "end in no digit"),
    ],
)
def test_damaged_files_are_named_in_one_line(folder, text, message):
    (folder / TEST).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        load(published(), str(folder.parent))
    assert TEST in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_and_splits_that_are_not_there(folder):
    with pytest.raises(UserError, match="no split 'tain'; it has train, validation, test"):
        load(type(published())(NAME, train="tain"), str(folder.parent))
    (folder / TRAIN).unlink()
    with pytest.raises(UserError, match=f"{NAME} has no {TRAIN}, a file of rotated MNIST"):
        load(published(), str(folder.parent))
