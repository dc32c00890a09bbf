"""Files of arrays, and IDX files whose images have channels."""

import gzip
import re
import zipfile

import numpy as np
import pytest

from common.errors import UserError
from data import memory
from data.sources import idx
from data.sources.load import DatasetConfig, load
from tests.data.stored import idx_bytes, write_idx
from training.run.images import check_unchanged, note

LABELS = np.arange(20) % 4


def images(count=20, shape=(6, 5, 3), dtype=np.uint8):
    return np.random.default_rng(count).integers(0, 256, (count, *shape)).astype(dtype)


def read(path, **fields):
    return load(DatasetConfig(name=f"folder:{path}", shift=0, **fields), "/nowhere")


KERAS = {"x_train": images(), "y_train": LABELS, "x_test": images(8), "y_test": LABELS[:8]}
MEDMNIST = {
    f"{split}_{kind}": array
    for split, count in (("train", 20), ("val", 8), ("test", 12))
    for kind, array in (
        ("images", images(count, (6, 5))),
        ("labels", LABELS[:count, None].astype(np.uint8)),
    )
}
WHOLE = {"images": images(), "labels": LABELS, "class_names": np.array(["a", "b", "c", "d"])}


@pytest.mark.parametrize(
    ("arrays", "shape", "counts"),
    [
        (KERAS, (6, 5, 3), [16, 4, 8]),
        (MEDMNIST, (6, 5, 1), [20, 8, 12]),
        (WHOLE, (6, 5, 3), [12, 4, 4]),
        ({"x": images(dtype=np.uint16) * 257, "y": LABELS}, (6, 5, 3), [12, 4, 4]),
    ],
)
def test_a_file_of_arrays(tmp_path, arrays, shape, counts):
    np.savez_compressed(tmp_path / "cells.npz", **arrays)
    dataset = read(tmp_path / "cells.npz")
    assert dataset.image_shape == shape
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == counts
    assert (dataset.num_classes, dataset.name) == (4, "folder:cells.npz")
    assert dataset.class_names == tuple(arrays.get("class_names", ()))
    found = {image.tobytes(): label for image, label in zip(*_all(dataset), strict=True)}
    pairs = [
        (name, arrays[name.replace("x", "y").replace("images", "labels")])
        for name in arrays
        if name.startswith("x") or name.endswith("images")
    ]
    expected = {
        (image // 257 if image.dtype == np.uint16 else image).astype(np.uint8).tobytes(): int(label)
        for name, labels in pairs
        for image, label in zip(arrays[name], labels.reshape(-1), strict=True)
    }
    assert found == expected
    assert read(tmp_path / "cells.npz", size=3, channels=1).image_shape == (3, 3, 1)


def _all(dataset):
    splits = (dataset.train, dataset.validation, dataset.test)
    return (
        np.concatenate([split.images for split in splits]),
        np.concatenate([split.labels for split in splits]),
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": LABELS},
            "has the arrays a; it needs x_train, y_train, x_test and y_test, or images",
        ),
        (KERAS | {"images": images(), "labels": LABELS}, "has images of splits, and others beside"),
        ({"x": images()}, "has no array y; it has x"),
        ({"x": images(), "y": LABELS[:19]}, "has 20 images in x and 19 labels in y"),
        (
            {"x": images(dtype=np.float32), "y": LABELS},
            "x is float32 of shape (20, 6, 5, 3); images",
        ),
        (
            {"x": images(shape=(6,)), "y": LABELS},
            "x is uint8 of shape (20, 6); images are uint8 or",
        ),
        ({"x": images(shape=(3, 6, 5)), "y": LABELS}, "(20, 3, 6, 5); channels come last"),
        ({"x": images(), "y": LABELS / 2}, "y: its labels are float64; each image needs one whole"),
        ({"x": images(), "y": np.arange(20)}, "class 0 has 1 image, and needs at least 3"),
        (
            {"x": images(), "y": LABELS - 1},
            "labels of the train split are outside of its 3 classes",
        ),
        (
            WHOLE | {"class_names": np.array(["a"])},
            "labels of the train split are outside of its 1",
        ),
        (WHOLE | {"class_names": np.arange(4)}, "class_names must be a list of printable texts"),
        ({"x": np.array([{}], object), "y": LABELS}, "cannot be read as a file of arrays (Object"),
    ],
)
def test_what_is_wrong_with_a_file_of_arrays_is_one_line(tmp_path, arrays, message):
    np.savez(tmp_path / "cells.npz", **arrays)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(tmp_path / "cells.npz")
    assert "cells.npz" in str(caught.value)


@pytest.mark.parametrize("name", ["images", "labels", "class_names"])
def test_a_run_does_not_go_on_with_a_file_of_other_arrays(tmp_path, name):
    path = tmp_path / "cells.npz"
    np.savez(path, **WHOLE)
    note(tmp_path, read(path))
    np.savez_compressed(path, **WHOLE)
    check_unchanged(tmp_path, read(path))
    changed = WHOLE[name].copy()
    changed[:2] = changed[1::-1]
    np.savez(path, **WHOLE | {name: changed})
    with pytest.raises(UserError, match=r"folder:cells\.npz has changed since the run in .* began"):
        check_unchanged(tmp_path, read(path))


def test_a_run_does_not_go_on_with_other_idx_files(tmp_path):
    folder = write_idx(tmp_path / "digits")
    note(tmp_path, read(folder))
    moved = tmp_path / "elsewhere" / "digits"
    moved.mkdir(parents=True)
    for path in folder.iterdir():
        (moved / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    check_unchanged(tmp_path, read(moved))
    path = moved / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match=r"folder:digits has changed since the run in .* began"):
        check_unchanged(tmp_path, read(moved))


def test_the_bundled_images_need_no_fingerprint():
    assert load(DatasetConfig(), "/nowhere").fingerprint == ""


def test_a_damaged_file_of_arrays(tmp_path, monkeypatch):
    path = tmp_path / "cells.npz"
    np.savez(path, **KERAS)
    content = path.read_bytes()
    for damaged in (b"", b"PK no zip", content[:200], content.replace(b"NUMPY", b"NIMPY")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cells\.npz cannot be read as a file of arrays"):
            read(path)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as file:
        unpacked = sum(member.file_size for member in file.infolist())
    monkeypatch.setattr(memory, "physical", lambda: 2 * unpacked - 1)
    with pytest.raises(UserError, match=r"cells\.npz: .*more than half of this machine's"):
        read(path)


@pytest.mark.parametrize("name", ["idx3", "idx4"])
def test_idx_files_with_channels(tmp_path, name):
    folder = write_idx(tmp_path / "colours")
    for split, count in (("train", 20), ("test", 10)):
        file = idx.FILES[split][0]
        (folder / f"{file}.gz").unlink()
        content = gzip.compress(idx_bytes(images(count)))
        (folder / f"{file.replace('idx3', name)}.gz").write_bytes(content)
    for asked in ("colours", f"folder:{folder}"):
        dataset = load(DatasetConfig(name=asked, shift=0), str(tmp_path))
        np.testing.assert_array_equal(dataset.test.images, images(10))
        assert (len(dataset.train), dataset.name) == (18, asked.replace(f"{tmp_path}/", ""))
