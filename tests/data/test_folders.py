"""Folders of image files, as users have them, and every way in which they can be wrong."""

import os
import re
import shutil
import unicodedata

import numpy as np
import PIL.Image
import pytest

from common.errors import UserError
from data import memory
from data.sources import decoding, elsewhere, load, opening
from data.sources.load import DatasetConfig
from data.sources.parts import WHOLE, in_roles

SIZE = (7, 5)  # height and width


def pixels(seed=0, size=SIZE, channels=3):
    shape = (*size, channels) if channels > 1 else size
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(path, array=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, PIL.Image.Image) else PIL.Image.fromarray(array)
    image.save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Ten images of each of two classes, all of one size, without splits."""
    root = tmp_path / "pets"
    for label, name in enumerate(("cat", "dog")):
        for k in range(10):
            write(root / name / f"{k}.png", pixels(10 * label + k))
    return root


def read(root, **fields):
    return load.load(DatasetConfig(name=f"folder:{root}", shift=0, **fields), "/nowhere")


def sizes(dataset):
    return [len(getattr(dataset, role)) for role in ("train", "validation", "test")]


def test_a_folder_without_splits_is_split_by_its_classes(folder):
    dataset = read(folder)
    assert dataset.name == "folder:pets"
    assert dataset.class_names == ("cat", "dog")
    assert sizes(dataset) == [14, 2, 4]
    assert dataset.notes == ()
    for role, of_each in (("train", 7), ("validation", 1), ("test", 2)):
        split = getattr(dataset, role)
        assert np.bincount(split.labels).tolist() == [of_each, of_each]
    every = np.concatenate([dataset.train.images, dataset.validation.images, dataset.test.images])
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels, dataset.test.labels])
    found = {image.tobytes(): label for image, label in zip(every, labels, strict=True)}
    assert found == {pixels(k).tobytes(): k // 10 for k in range(20)}
    again, other = read(folder), read(folder, split_seed=1)
    np.testing.assert_array_equal(again.test.images, dataset.test.images)
    assert other.test.checksum != dataset.test.checksum
    assert sizes(other) == sizes(dataset)


def test_any_beginning_of_a_split_has_all_classes(folder):
    assert set(read(folder, train="train[:2]").train.labels) == {0, 1}
    assert sizes(read(folder, train="train[:5]+test[50%:]", test="test[:50%]")) == [7, 2, 2]
    with pytest.raises(
        UserError, match=r"dataset.test='tset': folder:.* has no such split; it has"
    ):
        read(folder, test="tset")


def in_splits(root, *names):
    """The folder's images again in each of these splits."""
    for name in names:
        for label in ("cat", "dog"):
            shutil.copytree(root / label, root.parent / "split" / name / label)
    return root.parent / "split"


def test_folders_of_splits(folder):
    two = read(in_splits(folder, "train", "test"))
    assert sizes(two) == [18, 2, 20]
    shutil.rmtree(folder.parent / "split")
    three = read(in_splits(folder, "train", "validation", "test"))
    assert sizes(three) == [20, 20, 20]
    np.testing.assert_array_equal(np.sort(three.test.labels), np.repeat([0, 1], 10))


def test_classes_of_numbers_are_in_their_order(tmp_path):
    for name in ("10", "9", "100"):
        for k in range(3):
            write(tmp_path / "n" / name / f"{k}.png", pixels(k))
    assert read(tmp_path / "n").class_names == ("9", "10", "100")


@pytest.mark.parametrize("decimals", [1, 3])
def test_shares_of_classes(decimals):
    counts = {3: (1, 1, 1), 10: (2, 1, 7), 17: (3, 2, 12), 100: (20, 10, 70)}
    labels = np.repeat(np.arange(4), list(counts))
    roles = in_roles({WHOLE: labels}, decimals, str)
    for label, expected in enumerate(counts.values()):
        found = [np.sum(labels[roles[r].places] == label) for r in ("test", "validation", "train")]
        assert tuple(found) == expected
    together = np.concatenate([roles[role].places for role in roles])
    assert sorted(together) == list(range(len(labels)))


# What a file holds, with the pixels that it stands for.
def _palette():
    image = PIL.Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image, [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]


def _grey_palette():
    image = PIL.Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([7, 7, 7, 9, 9, 9])
    return image, [[[7], [9]]]


def _alpha():
    array = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]], np.uint8)
    return PIL.Image.fromarray(array), [[[200, 100, 50], [0, 0, 0]]]


def _grey_alpha():
    return PIL.Image.fromarray(np.array([[[200, 255], [200, 0]]], np.uint8)), [[[200], [0]]]


def _sixteen():
    array = np.array([[0, 128, 129, 257 * 3, 65535]], np.uint16)
    return PIL.Image.fromarray(array), [[[0], [0], [1], [3], [255]]]


def _bits():
    return PIL.Image.fromarray(np.array([[True, False]])), [[[255], [0]]]


def _cmyk():
    return PIL.Image.new("CMYK", (2, 1), (0, 255, 255, 0)), [[[255, 0, 0], [255, 0, 0]]]


KINDS = {
    "palette": (_palette, "png"),
    "palette of greys": (_grey_palette, "png"),
    "alpha": (_alpha, "png"),
    "alpha in WebP": (_alpha, "webp"),
    "grey and alpha": (_grey_alpha, "png"),
    "sixteen bits": (_sixteen, "png"),
    "sixteen bits in TIFF": (_sixteen, "TIFF"),
    "bits": (_bits, "png"),
    "CMYK": (_cmyk, "tif"),
}


@pytest.mark.parametrize(("make", "ending"), KINDS.values(), ids=KINDS)
def test_kinds_of_pixels(tmp_path, make, ending):
    image, expected = make()
    path = tmp_path / f"image.{ending}"
    image.save(path, **({"lossless": True} if ending == "webp" else {}))
    found = decoding.read_image(path)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8
    assert decoding.read_header(path) == found.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_orientation(tmp_path, orientation, ending):
    """Every orientation of EXIF is undone: its first row and column say where they belong."""
    upright = pixels(channels=1)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image.{ending}"
    PIL.Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(decoding.read_image(path)[..., 0], upright)
    assert decoding.read_header(path) == (*SIZE, 1)


def test_grey_and_colour_become_each_other(tmp_path):
    colour, grey = pixels(size=(40, 40)), pixels(1, channels=1)
    write(tmp_path / "colour.png", colour)
    write(tmp_path / "grey.png", grey)
    luma = np.asarray(PIL.Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(decoding.read_image(tmp_path / "colour.png", 1)[..., 0], luma)
    np.testing.assert_array_equal(decoding.with_channels(colour, 1)[..., 0], luma)
    for channel in np.moveaxis(decoding.read_image(tmp_path / "grey.png", 3), -1, 0):
        np.testing.assert_array_equal(channel, grey)
    with pytest.raises(ValueError, match="images of 2 channels are neither"):
        decoding.with_channels(np.zeros((1, 2), np.uint8), 3)


def test_sizes_are_brought_to_the_most_common_one(folder):
    for k in range(3):
        write(folder / "cat" / f"wide{k}.png", pixels(k, (6, 20)))
    write(folder / "dog" / "high.JPEG", pixels(size=(40, 10)))
    dataset = read(folder)
    assert dataset.image_shape == (*SIZE, 3)
    (note,) = dataset.notes
    assert note == (
        "images of 3 sizes are brought to 7x5 (height x width), which --config.dataset.size sets"
    )
    assert read(folder, size=4).image_shape == (4, 4, 3)
    assert read(folder, size=4, pad=1, channels=1).image_shape == (6, 6, 1)


def test_endings_hidden_files_and_names_of_other_scripts(folder):
    (folder / "cat").rename(folder / unicodedata.normalize("NFD", "Käfer ü"))
    (folder / "dog").rename(folder / "犬")
    write(folder / "犬" / "LOUD.PNG", pixels(50))
    write(folder / "犬" / "ätsch.JpEg", pixels(51))
    (folder / "犬" / ".hidden.png").write_bytes(b"")
    (folder / ".git").mkdir()
    (folder / "README.md").write_text("pets")
    (folder / "犬" / "notes.txt").write_text("none")
    dataset = read(folder)
    assert dataset.class_names == ("Käfer ü", "犬")
    assert sum(sizes(dataset)) == 22
    assert dataset.notes == (
        f"1 files are no images by their endings, such as {folder.resolve() / '犬' / 'notes.txt'}",
    )


def test_a_path_is_of_the_working_directory_or_the_data_directory(folder, monkeypatch):
    config = DatasetConfig(name="folder:pets")
    config.check()
    monkeypatch.chdir(folder.parent)
    assert len(load.load(config, "/nowhere").train) == 14
    monkeypatch.chdir("/")
    assert len(load.load(config, str(folder.parent)).train) == 14
    with pytest.raises(UserError, match=r"there is no pets, neither in / nor in /nowhere"):
        load.load(config, "/nowhere")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def only(path, array):
    path.unlink()
    write(path, array)


def empty(path):
    for file in path.iterdir():
        file.unlink()


def several(path):
    frames = [PIL.Image.fromarray(pixels(k)) for k in range(2)]
    frames[0].save(path.with_name("two.tif"), save_all=True, append_images=frames[1:])


def leave(path, count):
    for file in sorted(path.iterdir())[count:]:
        file.unlink()


FAULTS = {
    "an empty class": (lambda root: empty(root / "cat"), "{root}/cat is a class without an image"),
    "an unreadable file": (
        lambda root: (root / "dog/3.png").write_bytes(b"no image"),
        "{root}/dog/3.png is no PNG, JPEG, WebP or TIFF image",
    ),
    "an empty file": (
        lambda root: (root / "dog/3.png").write_bytes(b""),
        "{root}/dog/3.png is no PNG, JPEG, WebP or TIFF image",
    ),
    "a truncated file": (lambda root: cut(root / "dog/3.png"), "{root}/dog/3.png cannot be read ("),
    "a grey image": (
        lambda root: only(root / "dog/3.png", pixels(channels=1)),
        "{root}/dog/3.png has 1 channel, and 19 of 20 images have 3; --config.dataset.channels=3",
    ),
    "numbers with fractions": (
        lambda root: write(root / "dog/f.tif", np.zeros(SIZE, np.float32)),
        "{root}/dog/f.tif has floating-point pixels",
    ),
    "several images in one": (
        lambda root: several(root / "dog/3.png"),
        "{root}/dog/two.tif has several images",
    ),
    "one class": (lambda root: shutil.rmtree(root / "cat"), "{root} has one class, 'dog'"),
    "two images": (
        lambda root: leave(root / "cat", 2),
        "{root}: the class 'cat' has 2 images, and needs at least 3: to learn from, and for test",
    ),
    "a folder in a class": (
        lambda root: (root / "cat/more").mkdir(),
        "{root}/cat/more is a folder within that of a class; images lie in {root}/cat itself",
    ),
    "an image in no class": (
        lambda root: write(root / "x.png", pixels()),
        "{root}/x.png is in the folder of no class",
    ),
    "no class": (
        lambda root: [shutil.rmtree(root / name) for name in ("cat", "dog")],
        "{root} has no folder; make one for each class",
    ),
    "a link out": (
        lambda root: (root / "cat/link.png").symlink_to("/etc/hostname"),
        "{root}/cat/link.png is a symbolic link out of {root}",
    ),
    "a link of a folder out": (
        lambda root: (root / "bird").symlink_to("/etc"),
        "{root}/bird is a symbolic link out of {root}",
    ),
    "a link to a folder": (
        lambda root: (root / "bird").symlink_to(root / "cat"),
        "{root}/bird is a symbolic link to no file",
    ),
    "a link to nothing": (
        lambda root: (root / "cat/link.png").symlink_to(root / "gone"),
        "{root}/cat/link.png is a symbolic link to no file",
    ),
    "a pipe": (lambda root: os.mkfifo(root / "cat/pipe.png"), "{root}/cat/pipe.png is not a file"),
    "a class of two forms": (
        lambda root: [write(root / name / "x.png", pixels()) for name in ("\u00e4", "a\u0308")],
        "is called as another folder is",
    ),
    "a class of a line's end": (
        lambda root: write(root / "a\nb" / "x.png", pixels()),
        "is the name of a class; give it at most 100 printable characters",
    ),
    "no test": (
        lambda root: (root / "dog").rename(root / "train"),
        "{root}/cat is beside train; call it train, validation or test, or move it away",
    ),
}


@pytest.mark.parametrize(("harm", "message"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_a_folder_is_one_line(folder, harm, message):
    harm(folder)
    with pytest.raises(UserError) as caught:
        read(folder)
    assert message.format(root=folder.resolve()) in str(caught.value)
    assert "\n" not in str(caught.value)


SPLIT_FAULTS = {
    "no test": (lambda root: shutil.rmtree(root / "test"), "{root} has train, but no folder test"),
    "no training": (
        lambda root: shutil.rmtree(root / "train"),
        "{root} has test, but no folder tr",
    ),
    "another name": (
        lambda root: (root / "val").mkdir(),
        "{root}/val is beside test and train; call it validation, or move it away",
    ),
    "a class only to test": (
        lambda root: write(root / "test/bird/x.png", pixels()),
        "{root}/test/bird has no counterpart in {root}/train",
    ),
    "a class only to learn": (
        lambda root: shutil.rmtree(root / "test/cat"),
        "{root}/train/cat has no counterpart in {root}/test",
    ),
    "one image": (
        lambda root: leave(root / "train/cat", 1),
        "the class 'cat' has 1 image, and needs at least 2: to learn from, and for validation",
    ),
}


@pytest.mark.parametrize(("harm", "message"), SPLIT_FAULTS.values(), ids=SPLIT_FAULTS)
def test_what_is_wrong_with_folders_of_splits_is_one_line(folder, harm, message):
    root = in_splits(folder, "train", "test")
    harm(root)
    with pytest.raises(UserError, match=re.escape(message.format(root=root.resolve()))):
        read(root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder:", "names no folder or file; write its path after folder:"),
        ("folder:" + "x" * 500, "names no folder or file"),
        ("folder:a\nb", "names no folder or file"),
        ("folder:/nowhere/pets", "dataset.name=folder:/nowhere/pets: there is no /nowhere/pets"),
        ("folder:/etc/hostname", "there is no such folder"),
    ],
)
def test_names_of_folders_that_are_not_there(name, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load.load(DatasetConfig(name=name), "/nowhere")


def test_a_folder_larger_than_the_memory_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(memory, "physical", lambda: 2 * 14 * 7 * 5 * 3 - 1)
    with pytest.raises(UserError, match=r"take 1.47e-06 GB, more than half of this machine's"):
        read(folder)
    monkeypatch.setattr(memory, "physical", lambda: 2 * 14 * 7 * 5 * 3)
    read(folder)


def test_an_image_of_a_bombs_size_is_refused(folder, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 34)
    with pytest.raises(UserError, match=r"cat/0.png cannot be read \(Image size \(35 pixels\) exc"):
        read(folder)


def test_other_test_images(folder, tmp_path):
    trained = read(folder, size=9, channels=1)
    new = tmp_path / "new"
    for name in ("cat", "dog"):
        for k in range(3):
            write(new / name / f"{k}.png", pixels(k, (30, 20)))
    found = elsewhere.load_elsewhere(trained, f"folder:{new}")
    assert (len(found.test), found.image_shape, found.name) == (6, (9, 9, 1), "folder:new")
    shutil.move(new / "dog", new / "wolf")
    elsewhere._test_images.cache_clear()
    with pytest.raises(UserError, match=r"has the classes \('cat', 'wolf'\), and folder:pets has"):
        elsewhere.load_elsewhere(trained, f"folder:{new}")


def test_a_title_of_rendered_images_is_no_folder():
    class Rendered:
        name, source = "folder:pets", DatasetConfig()

    with pytest.raises(UserError, match=r"--config\.dataset\.source\.name=folder"):
        opening.check_named(Rendered())
    opening.check_named(DatasetConfig(name="folder:pets"))
