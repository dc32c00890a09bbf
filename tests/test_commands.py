"""The commands as a user types them: every mistake ends in one line and a non-zero status."""

import functools
import gzip
import json
import pathlib
import shutil

import pytest

from data.sources import bundled_mnist
from tests.conftest import ROOT
from tests.data.test_sources import write_idx
from tests.test_rooms import ARROWS

QUICK = [
    "--config=cnn_mnist",
    "--config.model.channels=(2,2)",
    "--config.model.dense=(4,)",
    "--config.dataset.train=train[:200]",
    "--config.dataset.validation=train[200:250]",
    "--config.dataset.test=test[:50]",
    "--config.batch_size=16",
    "--config.steps=8",
    "--config.checkpoint_every=4",
    "--config.validate_every=8",
]


def assert_one_line(process, *fragments):
    assert process.returncode not in (0, None), process.stdout
    lines = process.stderr.strip().splitlines()
    assert lines[-1].startswith("error: "), process.stderr
    assert not any("Traceback" in line for line in lines)
    for fragment in fragments:
        assert fragment in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--config=capsnet_mnis"], ["--config=capsnet_mnis", "capsnet_mnist"]),
        ([*QUICK, "--config.stepz=5"], ["stepz", "steps"]),
        ([*QUICK, "--config.steps=five"], ["--config.steps=five"]),
        ([*QUICK, "--config.steps=0"], ["steps=0", "at least 1"]),
        ([*QUICK, "--seeds=0,one"], ["--seeds=0,one"]),
        ([*QUICK, "--seeds=1,1"], ["--seeds=1,1", "twice"]),
        ([*QUICK, "--seeds=1,2,01"], ["--seeds=1,2,01", "twice"]),
        ([*QUICK, "--seeds="], ["--seeds=: give whole numbers"]),
        ([*QUICK, "--seeds=1,-2"], ["--seeds=1,-2: give whole numbers"]),
        ([*QUICK, "--seeds=+1"], ["--seeds=+1: give whole numbers"]),
        ([*QUICK, "--seeds=1_0"], ["--seeds=1_0: give whole numbers"]),
        ([*QUICK, "--seeds=0,4294967296"], ["seed=4294967296"]),
        ([*QUICK, "--data_dir="], ["--data_dir= is empty"]),
        ([*QUICK, "--workdir=~nobody-of-this-name/run"], ["--workdir=~nobody-of-this-name/run"]),
        ([*QUICK, "--workdir=/", "--seeds=0"], ["--workdir=/", "a folder with a name"]),
        ([*QUICK, "--coordinator=nonsense"], ["--coordinator=nonsense", "HOST:PORT"]),
        ([*QUICK, "--processes=0"], ["--processes=0"]),
        ([*QUICK, "--process=1"], ["--process=1"]),
        (
            [
                "--config=capsnet_mnist",
                "--config.dataset.name=digits",
                "--config.dataset.train=train[:16]",
                "--config.dataset.validation=train[16:]",
                "--config.batch_size=4",
            ],
            ["model cannot be built", "6x6"],
        ),
        ([*QUICK, "--coordinator=127.0.0.1:1", "--process=3"], ["--process=3"]),
    ],
)
def test_mistakes_in_what_is_asked_for(command, tmp_path, arguments, fragments):
    write_idx(tmp_path / "data" / "digits")
    folders = [f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'data'}"]
    # The last of a flag given twice counts.
    assert_one_line(command("train.py", *folders, *arguments), *fragments)
    assert not list(tmp_path.glob("run*"))


def test_an_empty_workdir(command):
    assert_one_line(command("train.py", *QUICK, "--workdir="), "--workdir= is empty")


def test_a_seed_in_a_folder_named_with_a_slash(command, tmp_path):
    steps = ["--config.steps=1", "--config.suites=()", "--seeds=7"]
    finished = command("train.py", *QUICK, *steps, f"--workdir={tmp_path}/run/", check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run_seed7"]
    # What it is about to do comes before it takes its time.
    lines = finished.stdout.splitlines()
    assert lines[0] == "importing JAX"
    assert lines[1] == f"cnn_mnist: reading the images, to train in {tmp_path / 'run_seed7'}"
    assert lines[2].startswith("cnn_mnist: compiling ")


def test_a_mistake_is_one_line_in_a_process_of_its_own_too(command):
    process = command("train.py", "--config=capsnet_mnis", PYTHONWARNINGS="default")
    assert_one_line(process, "--config=capsnet_mnis")


def test_a_batch_that_does_not_divide_over_the_devices(command, tmp_path):
    process = command("train.py", *QUICK, f"--workdir={tmp_path / 'run'}", devices=3)
    assert_one_line(process, "batch_size=16", "3 devices", "15 or 18")


def test_a_platform_that_is_not_there(command, tmp_path):
    process = command("train.py", *QUICK, f"--workdir={tmp_path / 'run'}", JAX_PLATFORMS="cuda")
    assert_one_line(process, "no device to run on")


@pytest.mark.slow
def test_a_run_its_resumption_and_its_evaluation(command, data_dir, tmp_path):
    command = functools.partial(command, compiled="")  # once as for a user
    run = tmp_path / "run"
    first = command("train.py", *QUICK, f"--workdir={run}", check=True)
    assert "clean accuracy" in first.stdout
    folder = command("evaluate.py", tmp_path, run, "--suites=clean,clean", check=True)
    assert (folder.stdout + folder.stderr).count("run: clean took") == 1
    assert folder.stderr.startswith("importing JAX\nrun: reading its images")
    assert "about 10 s for 1 model and 1 suite\n" in folder.stderr
    printed = command("evaluate.py", run, "--suites=clean,pose", check=True).stdout
    assert "\nclean, %" in printed
    assert "cnn_mnist (" in printed  # and what was changed of it
    assert "run: pose is not applicable: the model has no `warp`" in printed
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    reached = 100.0 * [r["accuracy"] for r in rows if r["split"] == "validation"][-1]
    matched = command(
        "evaluate.py", run, f"--match_accuracy={reached}", "--suites=clean", check=True
    )
    assert f"within 0.1 points of {reached:.2f} % on validation" in matched.stdout
    assert "run: at matched accuracy, step " in matched.stderr
    assert_one_line(command("evaluate.py", run, "--match_accuracy=100"), "no checkpoint here")
    assert_one_line(command("evaluate.py", run, "--control=me"), "me: is none of the models cnn")
    out = tmp_path / "out"
    command("evaluate.py", run, "--suites=clean,shear", "--limit=20", f"--out={out}", check=True)
    page = (out / "report.html").read_text()
    assert "-0.4 pixels per row" in page  # a picture of what was measured
    assert "impulse noise" not in page  # and of nothing else
    (measured,) = out.glob("records/*/*/clean.json")
    for file in (measured, measured.with_suffix(".npz")):
        shutil.copy(file, file.with_stem("gone"))
    gone = measured.with_stem("gone")
    gone.write_text(measured.read_text().replace('"suite": "clean"', '"suite": "gone"'))
    command("evaluate.py", run, "--suites=clean", "--limit=20", f"--out={out}", check=True)
    assert "gone: accuracy" in (out / "report.html").read_text()

    write_idx(pathlib.Path(data_dir) / "others", side=28, classes=10)
    elsewhere = ["--suites=clean", "--limit=20", f"--out={out}", "--test_data=others"]
    printed = command("evaluate.py", run, *elsewhere, check=True).stdout
    assert "\nothers, at the end of training, 20 images" in printed
    assert measured.is_file()  # its own images' record
    assert (measured.parent.with_name("last on others") / "clean.json").is_file()
    page = (out / "report.html").read_text()
    assert "mnist, at the end of training" in page
    assert "others, at the end of training" in page
    write_idx(pathlib.Path(data_dir) / "small", side=8)
    assert_one_line(
        command("evaluate.py", run, "--test_data=small"),
        "--test_data=small: small has images of shape (8, 8, 1)",
    )

    assert_one_line(
        command("train.py", *QUICK, f"--workdir={run}", "--config.seed=1"),
        "holds another experiment",
        "seed: 0 -> 1",
    )
    shutil.copytree(run, tmp_path / "damaged")
    (tmp_path / "damaged" / "record.json").unlink()
    for file in (tmp_path / "damaged" / "checkpoints").glob("*/state/_METADATA"):
        file.write_bytes(b"")
    assert_one_line(command("evaluate.py", tmp_path / "damaged"), "no whole checkpoint")
    assert_one_line(
        command("train.py", *QUICK, f"--workdir={tmp_path / 'damaged'}"),
        "checkpoints",
        "were damaged",
        "--workdir",
    )
    assert command("evaluate.py", run).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ([], "name at least one run"),
        (["runs/of_nobody"], "holds no run"),
        (["--suites=cleen", "runs/of_nobody"], "suite 'cleen'"),
        (["--checkpoint=first", "runs/of_nobody"], "--checkpoint=first"),
        (["--chekpoint=last"], "chekpoint"),
        (["--model=of_nobody:create"], "No module named 'of_nobody'"),
        (["--limit=-1", "runs/of_nobody"], "--limit=-1"),
        (["--match_accuracy=101", "runs/of_nobody"], "--match_accuracy=101"),
        (["--data=mnis", "--model=of_nobody:create"], "mnis"),
        (["--suites=clen", "runs/of_nobody"], "did you mean clean? python evaluate.py list"),
        (["--suites=", "runs/of_nobody"], "--suites is empty"),
        (["--lr=0.1", "runs/of_nobody"], "--lr: there is no such flag; there are --suites, --con"),
        (["--suite=clean", "runs/of_nobody"], "--suite: there is no such flag; did you mean --su"),
        (["--limit=many", "runs/of_nobody"], "limit"),
        (["--out=", "--model=of_nobody:create"], "--out= is empty"),
        (["--out=README.md/x", "--model=of_nobody:create"], "--out=README.md/x cannot be written"),
        (["--out=~nobody_here/x", "--model=of_nobody:create"], "--out=~nobody_here/x"),
        (["runs/of_nobody", "--model=of_nobody:create"], "holds no run"),
    ],
)
def test_mistakes_in_an_evaluation(command, arguments, fragment):
    assert_one_line(command("evaluate.py", *arguments), fragment)


@pytest.mark.parametrize("flag", ["--help", "-h", "-help", "--helpfull"])
def test_an_evaluation_explains_itself(command, flag):
    process = command("evaluate.py", flag)
    assert (process.returncode, process.stderr) == (0, "")
    assert "--match_accuracy=None\n      Take each run within 0.1 points" in process.stdout


MODELS = """
import numpy as np

def good():
    return lambda images: images.reshape(len(images), -1)[:, 300:310].tolist()

def late_nan():
    asked = []
    def predict(images):
        asked.append(1)
        return np.full((len(images), 10), np.nan if len(asked) > 2 else 1.0)
    return predict

def broken():
    return lambda images: 1 / 0
"""


def test_what_fails_does_not_take_the_rest_with_it(command, data_dir, tmp_path):
    (tmp_path / "of_mine.py").write_text(MODELS)
    out = tmp_path / "out"
    models = [f"--model=of_mine:{name}" for name in ("broken", "late_nan", "good", "good")]
    flags = ["--suites=clean,confusions,clean", "--limit=600", "--out=~/out"]
    here = {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    # A screen that has no sign for plus or minus, and no compiler.
    process = command(
        "evaluate.py",
        *models,
        *flags,
        **here,
        JAX_DISABLE_JIT="1",
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="0",
        LC_ALL="C",
    )
    assert_one_line(process, "--model=of_mine:broken fails on images of shape", "; and 2 more")
    assert "ZeroDivisionError: division by zero" in process.stderr
    for suite in ("clean", "confusions"):
        line = f"failed: of_mine_late_nan: {suite}: "
        assert process.stderr.count(line) == 1
    assert process.stdout.count("of_mine_good: clean took") == 1
    assert "of_mine:good" in process.stdout
    assert "of_mine:late_nan" not in process.stdout
    assert sorted(path.name for path in (out / "records").iterdir()) == ["of_mine_good"]
    assert (out / "report.html").is_file()
    (record,) = out.glob("records/*/*/clean.json")
    record.write_text("")
    process = command("evaluate.py", *models[2:3], *flags, **here)
    assert_one_line(process, "record ", "clean.json", "it is empty", "delete it to measure again")


def test_a_workdir_that_cannot_be_written(command, tmp_path):
    (tmp_path / "file").write_text("in the way")
    process = command("train.py", *QUICK, f"--workdir={tmp_path / 'file' / 'run'}")
    assert_one_line(process, "--workdir=", "cannot be written")


def test_bundled_data_with_a_wrong_checksum(command, tmp_path):
    checkout = tmp_path / "checkout"
    rooms = (*sorted(ARROWS), "configs", "train.py")
    for room in rooms:
        source = ROOT / room
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _parent(checkout) / room)
    victim = checkout / "data" / "mnist" / "train-labels-idx1-ubyte.gz"
    labels = bytearray(gzip.decompress(victim.read_bytes()))
    labels[100] ^= 1
    victim.write_bytes(gzip.compress(bytes(labels)))
    process = command(
        checkout / "train.py", *QUICK, f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'run'}"
    )
    assert_one_line(process, victim.name, "is damaged", "SHA-256")
    assert victim.parent != bundled_mnist.FOLDER


def _parent(folder):
    folder.mkdir(exist_ok=True)
    return folder
