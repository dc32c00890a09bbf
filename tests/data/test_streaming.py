"""Images that are decoded into a file and come to the device a few steps at a time."""

import dataclasses
import os
import shutil
import tracemalloc
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from common.errors import UserError
from data import streaming
from data.batches import DeviceSplit, batch_key, epoch_order
from data.dataset import Split
from data.sources import decoded, load
from data.sources.load import DatasetConfig
from data.streaming import Windows
from tests.training.test_step import assert_same
from tests.training.tiny_model import TinyConfig
from training import loop
from training.experiment import Experiment

KEY = jax.random.key(3)
SIZES = {"ant": 34, "bee": 20}


@pytest.fixture
def folder(tmp_path):
    """Images of two classes and sizes, with grey among them."""
    random = np.random.default_rng(0)
    for name, count in SIZES.items():
        (tmp_path / "bugs" / name).mkdir(parents=True)
        for k in range(count):
            levels = random.integers(0, 256, ((8, 6), (9, 9))[k % 5 == 0], np.uint8)
            PIL.Image.fromarray(levels).save(tmp_path / "bugs" / name / f"{k}.png")
    return tmp_path / "bugs"


def config_of(folder, **fields):
    return DatasetConfig(name=f"folder:{folder}", shift=1, **fields)


def read(folder, **fields):
    return load.load(config_of(folder, **fields), str(folder.parent / "data"))


def files(folder):
    return sorted(path.name for path in (folder.parent / "data" / decoded.FOLDER).iterdir())


@pytest.mark.parametrize("fields", [{}, {"pad": 2, "size": 5, "channels": 3}, {"train_images": 9}])
def test_a_file_holds_what_memory_would(folder, fields):
    within, mapped = read(folder, **fields), read(folder, **fields, memory_limit=0)
    for role in ("train", "validation", "test"):
        ours, theirs = getattr(mapped, role), getattr(within, role)
        assert ours.is_mapped
        assert not theirs.is_mapped
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert ours.checksum == theirs.checksum
    assert mapped.image_shape == within.image_shape
    assert mapped.fingerprint == within.fingerprint
    assert mapped.notes[:-1] == within.notes
    assert "train and validation and test images" in mapped.notes[-1]
    with pytest.raises(ValueError, match="read-only"):
        mapped.train.images[0] = 0


def test_only_splits_above_the_limit_are_mapped(folder, monkeypatch):
    of_train = 38 * 8 * 6
    dataset = read(folder, memory_limit=(of_train - 1) / 1e9)
    assert [s.is_mapped for s in (dataset.train, dataset.validation, dataset.test)] == [1, 0, 0]
    assert not read(folder, memory_limit=of_train / 1e9).train.is_mapped
    monkeypatch.setattr(decoded, "physical", lambda: 2 * of_train - 1)
    assert read(folder).train.is_mapped


def test_a_file_is_written_once_and_anew_where_the_folder_has_changed(folder, monkeypatch):
    first = read(folder, memory_limit=0).train
    before = files(folder)
    assert len(before) == 3
    with monkeypatch.context() as patch:
        patch.setattr(decoded, "read_image", None)  # nothing is decoded
        read(folder, memory_limit=0)
    path = folder / "ant" / "1.png"
    PIL.Image.fromarray(np.zeros((8, 6), np.uint8)).save(path)
    os.utime(path, (0, 0))
    changed = read(folder, memory_limit=0)
    after = files(folder)
    assert len(after) == 3  # the older one has made room
    assert len(set(after) - set(before)) == 1
    every = [getattr(changed, role).images for role in ("train", "validation", "test")]
    assert any((image == 0).all() for images in every for image in images)
    assert len(first.images[:]) == len(first)  # is still mapped


def test_a_damaged_image_is_named_and_leaves_no_file(folder):
    path = folder / "bee" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"bee/3\.png cannot be read"):
        read(folder, memory_limit=0)
    assert not [name for name in files(folder) if name.endswith(".npy") and "partial" in name]
    left = folder.parent / "data" / decoded.FOLDER
    assert all(each.stat().st_size == 0 for each in left.glob("*.partial"))


def test_a_full_disk_and_a_folder_that_takes_no_files_are_one_line(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(decoded.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
        with pytest.raises(UserError, match=r"they take 1\.824e-06 GB, and 1e-09 GB are free"):
            read(folder, memory_limit=0)
    (folder.parent / "blocked").write_text("")
    with pytest.raises(UserError, match="--data_dir"):
        load.load(config_of(folder, memory_limit=0), str(folder.parent / "blocked"))


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("steps", [1, 7])
def test_windows_hold_the_batches_of_a_split_on_the_device(balanced, steps):
    count, batch_size = 23, 4  # an epoch of five batches
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    split = Split(images, np.arange(count, dtype=np.int32) % 3)
    dataset = DatasetConfig(balanced=balanced, shift=0)
    windows = Windows(
        split, dataset, KEY, batch_size=batch_size, put=DeviceSplit, size=steps * batch_size
    )
    assert windows.steps == steps
    whole = DeviceSplit(jnp.asarray(images), jnp.asarray(split.labels))
    for step in (0, 1, 2, 6, 5, 12, 13, 14):  # forth and back, and into the third epoch
        order = epoch_order(KEY, jnp.asarray(step // 5), count)
        turn = order[step % 5 * batch_size :][:batch_size]
        expected = dataset.choose(batch_key(KEY, jnp.asarray(step)), whole.labels, turn)
        window, place = windows.at(step), step % steps * batch_size
        found = window.images[place : place + batch_size].ravel()
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(window.labels[place : place + batch_size], expected % 3)
        assert windows.left(step) == steps - step % steps
    windows.close()


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    def peak(count):
        path = tmp_path / f"{count}.npy"
        stored = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 64, 64, 1))
        stored.flush()
        images = np.load(path, mmap_mode="r")
        split = Split(images, np.zeros(count, np.int32))
        windows = Windows(split, DatasetConfig(), KEY, batch_size=8, put=DeviceSplit, size=1 << 17)
        tracemalloc.start()
        for step in range(0, 40, 4):
            windows.at(step)
        windows.close()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # which compiles what any has
    assert max(peak(100), peak(4000)) < 1 << 20  # where 4,000 images have 16 MB


@pytest.fixture(scope="module")
def experiment():
    return Experiment(
        model=TinyConfig(),
        steps=11,
        batch_size=6,
        ema_decay=0.9,
        validate_every=5,
        checkpoint_every=4,
        log_every=2,
        evaluation_batch_size=6,
    )


@pytest.mark.slow
def test_training_is_the_same_bit_for_bit_and_resumes(folder, tmp_path, experiment, monkeypatch):
    monkeypatch.setattr(streaming.Windows.__init__, "__kwdefaults__", {"size": 3 * 6 * 48})

    def train(workdir, **fields):
        asked = dataclasses.replace(experiment, dataset=config_of(folder, balanced=True, **fields))
        return loop.run(
            asked, name="tiny", workdir=str(tmp_path / workdir), data_dir=str(tmp_path / "data")
        )

    def until_7(self, *given):
        count, stopping = block(self, *given)
        return min(count, 7 - self.step), stopping or self.step == 7

    states, seen = {}, loop.make_record
    monkeypatch.setattr(
        loop,
        "make_record",
        lambda setup, state, *given, **named: (
            states.update(last=jax.device_get(state)) or seen(setup, state, *given, **named)
        ),
    )
    train("within")
    expected = states.pop("last")
    record = train("mapped", memory_limit=0)
    assert_same(expected, states.pop("last"))
    assert record["step"] == 11
    block = loop._Training._next_block
    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_next_block", until_7)  # in the middle of a window
        assert train("stopped", memory_limit=0)["step"] == 7
    shutil.copytree(tmp_path / "stopped", tmp_path / "left")
    train("stopped")  # it may go on where there is more memory
    assert_same(expected, states.pop("last"))
    (folder / "ant" / "1.png").unlink()
    with pytest.raises(UserError, match=r"folder:bugs has changed since the run in .* began"):
        train("left", memory_limit=0)
