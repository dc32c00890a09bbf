"""Folders and IDX files as users have them, right and wrong."""

import gzip
import pathlib

import numpy as np
import pytest

from data import memory
from data.sources import idx, opening, preparation
from data.sources.load import DatasetConfig, load
from tests.data.stored import COUNT, idx_bytes, refusal, write_idx


@pytest.mark.parametrize("name", ["My-Data", "two words", "x.y", "données", "7", "UPPER", "a/b"])
def test_a_folder_may_be_called_anything(tmp_path, name):
    write_idx(tmp_path / name)
    assert len(load(DatasetConfig(name), str(tmp_path)).test) == COUNT // 2


def test_a_folder_of_files_comes_before_a_name_of_tfds(tmp_path):
    write_idx(tmp_path / "cifar10", side=5)
    assert load(DatasetConfig("cifar10"), str(tmp_path)).image_shape == (5, 5, 1)


@pytest.mark.parametrize(
    "name",
    [
        *("../there", "/there", "~", "~/there", "a/../../there", "..", ".", "", "/", None),
        *("a\nb", "a\\b", "\0", "\ud800", "x" * 1000),
    ],
)
def test_a_name_does_not_lead_out_of_the_data_directory(tmp_path, name):
    write_idx(tmp_path / "there")
    (tmp_path / "data").mkdir()
    message = refusal(lambda: load(DatasetConfig(name), str(tmp_path / "data")))
    assert message.startswith("dataset.name=")
    assert "is not a name of a dataset" in message
    assert "is not a name of a dataset" in refusal(DatasetConfig(name).check)


@pytest.mark.parametrize("name", ["huggingface:mnist", "kubric:movi", "mnist/data_dir=x", "a?b=c"])
def test_no_name_makes_tfds_run_code_from_elsewhere(tmp_path, monkeypatch, name):
    monkeypatch.setattr(preparation.tfds, "builder", None)
    assert "is not a TFDS dataset" in refusal(lambda: load(DatasetConfig(name), str(tmp_path)))


def test_what_was_looked_for_and_where_is_said(tmp_path):
    write_idx(tmp_path / "My-Data")
    message = refusal(lambda: load(DatasetConfig("my-data"), str(tmp_path)))
    for place in (tmp_path, opening.SYSTEM_FOLDER):
        assert str(place / "my-data") in message
    assert message.endswith("did you mean My-Data?")


def test_what_a_folder_lacks_is_said(tmp_path):
    folder = write_idx(tmp_path / "digits")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    def message(name):
        return refusal(lambda: load(DatasetConfig(name), str(tmp_path)))

    assert f"{folder} lacks t10k-labels-idx1-ubyte (plain" in message("digits")
    assert "has neither prepared TFDS data" in message("empty")
    assert "file is not a folder" in message("file")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_cut_file_is_named_wherever_it_is_cut(tmp_path, name):
    folder = write_idx(tmp_path / "digits")
    compressed = folder / f"{name}.gz"
    content, victim = gzip.decompress(compressed.read_bytes()), folder / name
    for length in [*range(20), len(content) - 1]:
        victim.write_bytes(content[: min(length, len(content) - 1)])
        assert str(victim) in refusal(lambda: idx.open_folder(folder, 0))
    victim.unlink()
    whole = compressed.read_bytes()
    for length in range(0, len(whole), 9):
        compressed.write_bytes(whole[:length])
        assert str(compressed) in refusal(lambda: idx.open_folder(folder, 0))


ONES = np.ones((4, 3, 3), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(ONES, (2**20, 2**20, 2**20)), "too short for what its header says"),
        (idx_bytes(ONES, (2**32 - 1,) * 3), "too short for what its header says"),
        (idx_bytes(ONES, (4, 3, 2)), "holds more values"),
        (idx_bytes(ONES, (4, 3, 4)), "holds 36 values"),
        (idx_bytes(ONES[:0]), "is empty"),
        (idx_bytes(ONES[:, :0]), "is empty"),
        (idx_bytes(ONES[:3]), "do not fit together"),
        (idx_bytes(ONES[..., None, None]), "has 5 axes"),
        (idx_bytes(ONES[0, 0, 0]), "has 0 axes"),
        (idx_bytes(ONES.ravel()), "do not fit together"),
        (b"\0\0\x0d\3" + idx_bytes(ONES)[4:], "not an IDX file of unsigned bytes"),
        (b"\1\0\x08\3" + idx_bytes(ONES)[4:], "not an IDX file of unsigned bytes"),
    ],
)
def test_a_header_is_not_believed(tmp_path, content, message):
    folder = write_idx(tmp_path / "digits", count=4)
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    assert message in refusal(lambda: idx.open_folder(folder, 0))


def test_a_compressed_file_is_not_unpacked_beyond_its_header(tmp_path, monkeypatch):
    folder = write_idx(tmp_path / "digits", count=4)
    victim = folder / "train-images-idx3-ubyte.gz"
    victim.write_bytes(gzip.compress(idx_bytes(ONES) + bytes(10**6)))
    assert "holds more values" in refusal(lambda: idx.open_folder(folder, 0))
    victim.write_bytes(gzip.compress(idx_bytes(np.zeros((1000, 10, 10), np.uint8))))
    monkeypatch.setattr(memory, "physical", lambda: 10**5)
    assert "of memory" in refusal(lambda: idx.open_folder(folder, 0))


@pytest.mark.parametrize("by", ["argument", "variable"])
@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("{here}/file", "is not a folder"),
        ("gs://bucket", "is not a folder of this machine"),
        ("~nobody-of-this-name/x", "name another folder"),
    ],
)
def test_a_data_directory_that_is_none(tmp_path, monkeypatch, by, chosen, message):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    chosen = chosen.format(here=tmp_path)
    named = {"argument": "--data_dir", "variable": "TFDS_DATA_DIR"}[by]
    monkeypatch.setenv("TFDS_DATA_DIR", chosen if by == "variable" else "/elsewhere")
    said = refusal(lambda: opening.data_folder(chosen if by == "argument" else None))
    assert said.startswith(f"{named}={chosen}") or said.startswith(f"{named}='{chosen}'")
    assert message in said


def test_a_user_without_a_home_directory(tmp_path, monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(pathlib.PosixPath, "expanduser", no_home)
    said = refusal(lambda: opening.data_folder(None))
    assert "Could not determine home directory" in said
    assert "--data_dir or TFDS_DATA_DIR" in said


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opening.data_folder("~/x") == tmp_path / "x"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/y")
    assert opening.data_folder(None) == tmp_path / "y"


def test_mnist_needs_no_folder_and_writes_none(tmp_path):
    config = DatasetConfig(train="train[:50]", validation="train[-9:]", test="test[:1%]")
    assert load(config, str(tmp_path / "data")).num_classes == 10
    assert not list(tmp_path.iterdir())
